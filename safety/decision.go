package safety

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/sqldb"
)

// Decision is what was decided about a payment and from what. It is written
// once and never changed.
type Decision struct {
	ID      string `json:"id" example:"sfd_01jd0000000000000000000000"`
	Payment string `json:"payment"`
	Version int64  `json:"version" doc:"of the payment"`
	Payer   string `json:"payer"`
	Step    Step   `json:"step" enum:"hold,edit,acknowledge,approval" doc:"when it was made"`
	Actor   string `json:"actor" doc:"who acted: a user, or server"`
	Rules   string `json:"rules" doc:"SHA-256, hex, of the rule file"`
	Facts   Facts  `json:"facts" doc:"what the rules saw"`
	// Outcome joins everything asked for in this version so far.
	Outcome  Outcome           `json:"outcome"`
	Answers  map[string]string `json:"answers" doc:"the payer's answers by question"`
	Waived   []string          `json:"waived" doc:"what a server key insisted on doing without"`
	Approval string            `json:"approval,omitempty" enum:"asked,approved,refused" doc:"of the trusted person"`
	Result   Stop              `json:"result" enum:"go,denied,limit,acknowledge,pause,approval,cooling_off"`
	At       time.Time         `json:"at"`
}

// insertIn adds the statement that writes the decision.
func (d *Decision) insertIn(b *sqldb.Batch) error {
	texts := make([]any, 4)
	for i, v := range []any{d.Facts, d.Outcome, d.Answers, d.Waived} {
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("safety: decision: %w", err)
		}
		texts[i] = string(text)
	}
	b.Exec("INSERT INTO safety_decisions ("+decisionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", 1,
		d.ID, d.Payment, d.Version, d.Payer, string(d.Step), d.Actor, d.Rules, texts[0], texts[1], texts[2], texts[3], d.Approval, string(d.Result), d.At.UnixMilli())
	return nil
}

const decisionColumns = "id, payment, version, payer, step, actor, rules, facts, outcome, answers, waived, approval, result, at"

func scanDecision(row interface{ Scan(dest ...any) error }) (d Decision, err error) {
	var texts [4]string
	var at int64
	err = row.Scan(&d.ID, &d.Payment, &d.Version, &d.Payer, &d.Step, &d.Actor, &d.Rules, &texts[0], &texts[1], &texts[2], &texts[3], &d.Approval, &d.Result, &at)
	if err != nil {
		return d, err
	}
	for i, into := range []any{&d.Facts, &d.Outcome, &d.Answers, &d.Waived} {
		if err := json.Unmarshal([]byte(texts[i]), into); err != nil {
			return d, fmt.Errorf("safety: decision %s: %w", d.ID, err)
		}
	}
	d.At = fromMillis(at)
	return d, nil
}

// Decision returns one decision, or ErrUnknown.
func (s *Service) Decision(ctx context.Context, id string) (d Decision, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		d, err = decisionTx(tx, id)
		return err
	})
	return d, err
}

func decisionTx(tx *sqldb.Tx, id string) (Decision, error) {
	d, err := scanDecision(tx.QueryRow("SELECT "+decisionColumns+" FROM safety_decisions WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, fmt.Errorf("%w: %.64s", ErrUnknown, id)
	}
	return d, err
}

// DecisionFilter of Decisions; empty fields match all.
type DecisionFilter struct {
	Payment, Payer string
	// Cursor of the page before; Limit 1 to 100, 0 means 50.
	Cursor string
	Limit  int
}

// Decisions lists decisions, newest first, and the cursor of the next page or "".
func (s *Service) Decisions(ctx context.Context, f DecisionFilter) ([]Decision, string, error) {
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 50
	}
	var where []string
	var args []any
	for _, c := range []struct{ condition, value string }{{"payment = ?", f.Payment}, {"payer = ?", f.Payer}, {"id < ?", f.Cursor}} {
		if c.value != "" {
			where, args = append(where, c.condition), append(args, c.value)
		}
	}
	query := "SELECT " + decisionColumns + " FROM safety_decisions"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	list := []Decision{}
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(query+" ORDER BY id DESC LIMIT ?", append(args, f.Limit+1)...)
		if err != nil {
			return fmt.Errorf("safety: decisions: %w", err)
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			d, err := scanDecision(rows)
			if err != nil {
				return err
			}
			list = append(list, d)
		}
		return rows.Err()
	})
	next := ""
	if err == nil && len(list) > f.Limit {
		list = list[:f.Limit]
		next = list[f.Limit-1].ID
	}
	return list, next, err
}
