package safety

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// prefixDecision begins the ids of decisions.
const prefixDecision = "sfd_"

const checkColumns = "payment, version, payer, payee, rules, outcome, answers, seen, pause_for, pause_until, cool_until, approver, approval, decision, result, digest, created_at"

// loadCheck returns what is asked of a version of a payment, or ErrUnknown.
func loadCheck(tx *sqldb.Tx, payment string, version int64) (*check, error) {
	return scanCheck(tx.QueryRow("SELECT "+checkColumns+" FROM safety_checks WHERE payment = ? AND version = ?", payment, version))
}

// latestCheck returns what is asked of the newest version that was decided on, or ErrUnknown.
func latestCheck(tx *sqldb.Tx, payment string) (*check, error) {
	return scanCheck(tx.QueryRow("SELECT "+checkColumns+" FROM safety_checks WHERE payment = ? ORDER BY version DESC LIMIT 1", payment))
}

// openCheck returns what is asked of a payment, or begins it. A version with
// the same amount as the one before goes on where that was; with another
// amount it begins anew, but for answers that made it stricter.
func openCheck(tx *sqldb.Tx, rules *Rules, f *Facts, now time.Time) (*check, error) {
	c := &check{payment: f.Payment, version: f.Version, payer: f.Payer, payee: f.Payee, created: now, answers: map[string]string{}}
	before, err := latestCheck(tx, f.Payment)
	switch {
	case errors.Is(err, ErrUnknown):
		return c, nil
	case err != nil:
		return nil, err
	case before.version == f.Version:
		return before, nil
	}
	last, err := decisionTx(tx, before.decision)
	if err != nil {
		return nil, err
	}
	if last.Facts.Amount == f.Amount {
		before.version, before.created, before.digest = f.Version, now, ""
		return before, nil
	}
	for id, answer := range before.answers {
		if o := rules.option(id, answer); o != nil && len(o.then) > 0 {
			c.answers[id] = answer
		}
	}
	return c, nil
}

func scanCheck(row *sql.Row) (*check, error) {
	var c check
	var outcome, answers, seen string
	var pauseFor, pauseUntil, coolUntil, created int64
	err := row.Scan(&c.payment, &c.version, &c.payer, &c.payee, &c.rules, &outcome, &answers, &seen, &pauseFor, &pauseUntil, &coolUntil,
		&c.approver, &c.approval, &c.decision, &c.result, &c.digest, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrUnknown
	}
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(outcome), &c.outcome), json.Unmarshal([]byte(answers), &c.answers), json.Unmarshal([]byte(seen), &c.seen))
	}
	if err != nil {
		return nil, fmt.Errorf("safety: check: %w", err)
	}
	c.pauseFor, c.pauseUntil, c.coolUntil, c.created = time.Duration(pauseFor), fromMillis(pauseUntil), fromMillis(coolUntil), fromMillis(created)
	return &c, nil
}

// saveIn adds the statement that writes the check.
func (c *check) saveIn(b *sqldb.Batch) error {
	outcome, err := json.Marshal(c.outcome)
	if err != nil {
		return err
	}
	answers, err := json.Marshal(c.answers)
	if err != nil {
		return err
	}
	seen, err := json.Marshal(c.seen)
	if err != nil {
		return err
	}
	b.Exec("INSERT INTO safety_checks ("+checkColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+
		" ON CONFLICT (payment, version) DO UPDATE SET rules = excluded.rules, outcome = excluded.outcome, answers = excluded.answers, seen = excluded.seen,"+
		" pause_for = excluded.pause_for, pause_until = excluded.pause_until, cool_until = excluded.cool_until, approver = excluded.approver,"+
		" approval = excluded.approval, decision = excluded.decision, result = excluded.result, digest = excluded.digest", 1,
		c.payment, c.version, c.payer, c.payee, c.rules, string(outcome), string(answers), string(seen), int64(c.pauseFor), millis(c.pauseUntil),
		millis(c.coolUntil), c.approver, c.approval, c.decision, string(c.result), c.digest, millis(c.created))
	return nil
}

// keep writes the check, and a decision unless it says the same as the last
// one: asking again during a pause makes no new one.
func (s *Service) keep(tx *sqldb.Tx, c *check, ask Ask, r *Ruling, now time.Time) error {
	d := Decision{
		ID: wire.NewID[string](prefixDecision, now), Payment: c.payment, Version: c.version, Payer: c.payer, Step: ask.Step, Actor: ask.Actor,
		Rules: c.rules, Facts: ask.Facts, Outcome: r.Outcome, Answers: c.answers, Waived: []string{}, Approval: c.approval, Result: r.Stop, At: now,
	}
	if ask.Insisted && r.Outcome.Live {
		d.Waived = append(d.Waived, "live_confirmation")
	}
	digest, err := d.digest(c)
	if err != nil {
		return err
	}
	b := tx.Batch()
	fresh := digest != c.digest
	if fresh {
		c.digest, c.decision, c.result = digest, d.ID, r.Stop
		if err := d.insertIn(b); err != nil {
			return err
		}
	}
	if err := c.saveIn(b); err != nil {
		return err
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("safety: check: %w", err)
	}
	if r.Decision = c.decision; !fresh {
		return nil
	}
	tx.AfterCommit(func() { s.m.WithLabelValues(string(d.Result)).Inc() })
	if s.d.Witness == nil || d.Result == Go && d.Outcome.plain() {
		return nil
	}
	return s.d.Witness.WitnessTx(tx, d)
}

// digest is the same for two decisions that say the same.
func (d *Decision) digest(c *check) (string, error) {
	text, err := json.Marshal([]any{d.Rules, d.Outcome, d.Answers, c.seen, d.Waived, c.approver, d.Approval, d.Result})
	if err != nil {
		return "", fmt.Errorf("safety: decision: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// newDevice reports whether somebody has committed money from devices, but not from this one.
func newDevice(tx *sqldb.Tx, user, device string) (bool, error) {
	if device == "" {
		return false, nil
	}
	var all, this int64
	err := tx.QueryRow("SELECT COUNT(*), COALESCE(SUM(CASE WHEN device = ? THEN 1 ELSE 0 END), 0) FROM safety_devices WHERE user_id = ?", device, user).Scan(&all, &this)
	if err != nil {
		return false, fmt.Errorf("safety: devices: %w", err)
	}
	return all > 0 && this == 0, nil
}

// learnDevice remembers that somebody committed money from a device.
func learnDevice(tx *sqldb.Tx, f Facts, now time.Time) error {
	if f.Device == "" {
		return nil
	}
	_, err := tx.Exec("INSERT INTO safety_devices (user_id, device, first_at) VALUES (?, ?, ?) ON CONFLICT (user_id, device) DO NOTHING", f.Payer, f.Device, now.UnixMilli())
	if err != nil {
		return fmt.Errorf("safety: devices: %w", err)
	}
	return nil
}

// millis is t in Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the opposite of millis.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
