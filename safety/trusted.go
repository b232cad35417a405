package safety

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Kinds of entries in people's own logs.
const (
	KindApprovalRequested = "safety.approval_requested" // to the trusted person
	KindApproval          = "safety.approval"           // to the payer
)

// Trusted is who approves for a user. A change is announced and takes effect
// later, so that nobody can be talked into it on the spot.
type Trusted struct {
	User    string     `json:"user"`
	Trusted string     `json:"trusted" doc:"who approves; empty: nobody"`
	Since   *time.Time `json:"since,omitempty"`
	// Next follows at NextAt.
	Next   *string    `json:"next,omitempty" doc:"who follows; empty: nobody"`
	NextAt *time.Time `json:"next_at,omitempty"`
}

// trustedRow is the stored form.
type trustedRow struct {
	trusted, next string
	since, nextAt time.Time
}

// loadTrusted returns the row as it is at now: a change whose time has come has happened.
func loadTrusted(tx *sqldb.Tx, user string, now time.Time) (trustedRow, error) {
	var r trustedRow
	var since, nextAt int64
	err := tx.QueryRow("SELECT trusted, since, next, next_at FROM safety_trusted WHERE user_id = ?", user).Scan(&r.trusted, &since, &r.next, &nextAt)
	if errors.Is(err, sql.ErrNoRows) {
		return trustedRow{}, nil
	}
	if err != nil {
		return r, fmt.Errorf("safety: trusted person: %w", err)
	}
	r.since, r.nextAt = fromMillis(since), fromMillis(nextAt)
	if !r.nextAt.IsZero() && !now.Before(r.nextAt) {
		r = trustedRow{trusted: r.next, since: r.nextAt}
	}
	return r, nil
}

func (r trustedRow) save(tx *sqldb.Tx, user string) error {
	_, err := tx.Exec("INSERT INTO safety_trusted (user_id, trusted, since, next, next_at) VALUES (?, ?, ?, ?, ?)"+
		" ON CONFLICT (user_id) DO UPDATE SET trusted = excluded.trusted, since = excluded.since, next = excluded.next, next_at = excluded.next_at",
		user, r.trusted, millis(r.since), r.next, millis(r.nextAt))
	if err != nil {
		return fmt.Errorf("safety: trusted person: %w", err)
	}
	return nil
}

func (r trustedRow) shown(user string) Trusted {
	t := Trusted{User: user, Trusted: r.trusted}
	if r.trusted != "" {
		t.Since = &r.since
	}
	if !r.nextAt.IsZero() {
		t.Next, t.NextAt = &r.next, &r.nextAt
	}
	return t
}

// TrustedOf returns who approves for user.
func (s *Service) TrustedOf(ctx context.Context, user string) (t Trusted, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		row, err := loadTrusted(tx, user, s.now())
		t = row.shown(user)
		return err
	})
	return t, err
}

// SetTrusted names the trusted person of user; empty removes them. The first
// one holds at once; a change or removal after the cooling-off, until which
// setting the old one again takes it back. ErrTrusted when it cannot be this person.
func (s *Service) SetTrusted(ctx context.Context, user, trusted string) (t Trusted, err error) {
	if trusted == user {
		return t, fmt.Errorf("%w: you cannot approve your own payments", ErrTrusted)
	}
	if trusted != "" && s.d.People != nil {
		related, err := s.d.People.Related(ctx, user, trusted)
		if err != nil {
			return t, err
		}
		if !related {
			return t, fmt.Errorf("%w: it must be somebody you share a conversation or a payment with", ErrTrusted)
		}
	}
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock("safety:trusted:" + user); err != nil {
			return err
		}
		now := s.now()
		row, err := loadTrusted(tx, user, now)
		if err != nil {
			return err
		}
		switch {
		case trusted == row.trusted:
			row.next, row.nextAt = "", time.Time{}
		case row.trusted == "":
			row = trustedRow{trusted: trusted, since: now}
		case row.nextAt.IsZero() || row.next != trusted: // repeating a change does not delay it
			row.next, row.nextAt = trusted, now.Add(s.cfg.TrustedAfter)
		}
		t = row.shown(user)
		return row.save(tx, user)
	})
	return t, err
}

// askApprover asks the trusted person once for each version. One who was named
// only after the payment was first refused cannot approve it before the
// cooling-off is over, and the payee never can.
func (s *Service) askApprover(tx *sqldb.Tx, c *check, f Facts, o Outcome, rules *Rules, now time.Time) error {
	row, err := loadTrusted(tx, c.payer, now)
	if err != nil {
		return err
	}
	first, err := firstAsked(tx, c)
	if err != nil {
		return err
	}
	early := row.since.After(first) && now.Before(row.since.Add(s.cfg.TrustedAfter))
	if row.trusted == "" || row.trusted == c.payee || early {
		c.approver, c.approval = "", approvalNone
		return nil
	}
	if c.approval != approvalNone && c.approver == row.trusted {
		return nil
	}
	c.approver, c.approval = row.trusted, approvalAsked
	return s.tell(tx, c.approver, KindApprovalRequested, now, Approval{
		Payment: c.payment, Version: c.version, Payer: c.payer, Payee: c.payee, PayeeName: f.PayeeName,
		Amount: f.Amount, Currency: f.Currency, Explain: rules.explain(o, Require, "en"), Approval: approvalAsked,
	})
}

// firstAsked is when the payment was first decided on, in any version.
func firstAsked(tx *sqldb.Tx, c *check) (time.Time, error) {
	var first int64
	if err := tx.QueryRow("SELECT COALESCE(MIN(created_at), 0) FROM safety_checks WHERE payment = ?", c.payment).Scan(&first); err != nil {
		return time.Time{}, fmt.Errorf("safety: check: %w", err)
	}
	if first == 0 || first > millis(c.created) {
		return c.created, nil
	}
	return fromMillis(first), nil
}

// Approval is what the trusted person and the payer hear of it.
type Approval struct {
	Payment   string `json:"payment"`
	Version   int64  `json:"version"`
	Payer     string `json:"payer"`
	Payee     string `json:"payee"`
	PayeeName string `json:"payee_name,omitempty" doc:"as the payer sees it"`
	Amount    int64  `json:"amount" doc:"minor units"`
	Currency  string `json:"currency"`
	Explain   string `json:"explain,omitempty" doc:"why it is asked"`
	Approval  string `json:"approval" enum:"asked,approved,refused"`
}

func (s *Service) tell(tx *sqldb.Tx, user, kind string, now time.Time, a Approval) error {
	if s.d.Teller == nil {
		return nil
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("safety: tell: %w", err)
	}
	return s.d.Teller.TellTx(tx, user, wire.NewID[string](wire.PrefixEvent, now), kind, now, data)
}

// Approve is the trusted person's word on a version of a payment: yes, or no
// for good. The same word again changes nothing; another one is ErrDecided.
func (s *Service) Approve(ctx context.Context, by, payment string, version int64, yes bool) (a Approval, err error) {
	word := approvalRefused
	if yes {
		word = approvalGiven
	}
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		c, last, err := lockedCheck(tx, payment, version)
		if err != nil {
			return err
		}
		if by == "" || c.approver != by {
			return fmt.Errorf("%w: approvals are for the payer's trusted person", ErrNotAllowed)
		}
		f := last.Facts
		a = Approval{Payment: payment, Version: version, Payer: c.payer, Payee: c.payee, PayeeName: f.PayeeName, Amount: f.Amount, Currency: f.Currency, Approval: word}
		if c.approval == word {
			return nil
		}
		if c.approval != approvalAsked {
			return fmt.Errorf("%w: %s", ErrDecided, c.approval)
		}
		now := s.now()
		c.approval = word
		r := Ruling{Outcome: c.outcome}
		ask := Ask{Facts: f, Step: StepApproval, Actor: by, Insisted: len(last.Waived) > 0}
		if err := s.rule(tx, s.rules.Load(), c, ask, &r, now); err != nil {
			return err
		}
		if err := s.keep(tx, c, ask, &r, now); err != nil {
			return err
		}
		return s.tell(tx, c.payer, KindApproval, now, a)
	})
	return a, err
}

// lockedCheck locks and returns what is asked of the current version, with the last decision on it.
func lockedCheck(tx *sqldb.Tx, payment string, version int64) (*check, Decision, error) {
	if err := tx.Lock(paymentLock(payment)); err != nil {
		return nil, Decision{}, err
	}
	c, err := latestCheck(tx, payment)
	if err != nil {
		return nil, Decision{}, err
	}
	if c.version != version {
		return nil, Decision{}, fmt.Errorf("%w: it is version %d", ErrStale, c.version)
	}
	last, err := decisionTx(tx, c.decision)
	return c, last, err
}

// Acknowledge takes the payer's answers without committing money: for money
// that is on hold already when an edit asks for them.
func (s *Service) Acknowledge(ctx context.Context, by, payment string, version int64, a Acknowledgement) (r Ruling, err error) {
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		c, last, err := lockedCheck(tx, payment, version)
		if err != nil {
			return err
		}
		if by != "" && by != c.payer {
			return fmt.Errorf("%w: questions are for the payer", ErrNotAllowed)
		}
		rules, now := s.rules.Load(), s.now()
		if a.Decision != c.decision && !c.acknowledged() {
			return fmt.Errorf("%w: the decision is %s", ErrStale, c.decision)
		}
		if err := c.acknowledge(rules, a); err != nil {
			return err
		}
		c.raise(rules, now)
		r = Ruling{Outcome: c.outcome}
		ask := Ask{Facts: last.Facts, Step: StepAcknowledge, Actor: by, Insisted: len(last.Waived) > 0}
		if err := s.rule(tx, rules, c, ask, &r, now); err != nil {
			return err
		}
		return s.keep(tx, c, ask, &r, now)
	})
	return r, err
}
