package payments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// link is a payment link as the table has it.
type link struct {
	id, payee, payeeName, nameCheck string
	amount, min, max                int64
	currency, memo, order, confirm  string
	uses, used                      int64
	state                           LinkState
	version                         int64
	expires, created, updated       time.Time
}

const linkColumns = "id, payee, payee_name, name_check, amount, amount_min, amount_max, currency, memo, order_ref, confirm, uses, used, state, version, expires_at, created_at, updated_at"

func scanLink(row scanner) (at link, err error) {
	var expires, created, updated int64
	err = row.Scan(&at.id, &at.payee, &at.payeeName, &at.nameCheck, &at.amount, &at.min, &at.max, &at.currency, &at.memo, &at.order, &at.confirm,
		&at.uses, &at.used, &at.state, &at.version, &expires, &created, &updated)
	at.expires, at.created, at.updated = fromMillis(expires), fromMillis(created), fromMillis(updated)
	return at, err
}

func insertLink(tx *sqldb.Tx, at link) error {
	_, err := tx.Exec("INSERT INTO payments_links ("+linkColumns+", due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		at.id, at.payee, at.payeeName, at.nameCheck, at.amount, at.min, at.max, at.currency, at.memo, at.order, at.confirm,
		at.uses, at.used, string(at.state), at.version, millis(at.expires), millis(at.created), millis(at.updated), millis(at.expires))
	if err != nil {
		return fmt.Errorf("payments: insert link: %w", err)
	}
	return nil
}

// loadLink returns a link, or ErrLinkUnknown.
func loadLink(tx *sqldb.Tx, id string) (link, error) {
	at, err := scanLink(tx.QueryRow("SELECT "+linkColumns+" FROM payments_links WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return link{}, fmt.Errorf("%w: %.80s", ErrLinkUnknown, id)
	}
	if err != nil {
		return link{}, fmt.Errorf("payments: load link: %w", err)
	}
	return at, nil
}

func findLinks(tx *sqldb.Tx, payee, cursor string, limit int) (found []link, err error) {
	query, args := "SELECT "+linkColumns+" FROM payments_links WHERE (? = '' OR id < ?)", []any{cursor, cursor}
	if payee != "" {
		query, args = query+" AND payee = ?", append(args, payee)
	}
	rows, err := tx.Query(query+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("payments: links: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		at, err := scanLink(rows)
		if err != nil {
			return nil, fmt.Errorf("payments: links: %w", err)
		}
		found = append(found, at)
	}
	return found, rows.Err()
}

// claimLink takes one use of an open link in one statement, so that of two who
// pay at once one wins. The error of the other says why.
func claimLink(tx *sqldb.Tx, id string, now time.Time) (link, error) {
	at, err := scanLink(tx.QueryRow("UPDATE payments_links SET used = used + 1, version = version + 1, updated_at = ?,"+
		" state = CASE WHEN uses > 0 AND used + 1 >= uses THEN 'used' ELSE 'open' END,"+
		" due_at = CASE WHEN uses > 0 AND used + 1 >= uses THEN 0 ELSE due_at END"+
		" WHERE id = ? AND state = 'open' AND expires_at > ? RETURNING "+linkColumns, now.UnixMilli(), id, now.UnixMilli()))
	if !errors.Is(err, sql.ErrNoRows) {
		return at, err
	}
	if at, err = loadLink(tx, id); err != nil {
		return link{}, err
	}
	if at.state == LinkUsed {
		return link{}, ErrLinkUsed
	}
	return link{}, fmt.Errorf("%w: it is cancelled or has expired", ErrLinkClosed)
}

// closeLink ends an open or used link, or returns ErrLinkClosed when it has ended.
func closeLink(tx *sqldb.Tx, id string, state LinkState, now time.Time) (link, error) {
	at, err := scanLink(tx.QueryRow("UPDATE payments_links SET state = ?, version = version + 1, updated_at = ?, due_at = 0"+
		" WHERE id = ? AND state IN ('open', 'used') RETURNING "+linkColumns, string(state), now.UnixMilli(), id))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrLinkClosed
	}
	return at, err
}

// returnUse gives a use back whose payment ended without money having moved.
func (s *Service) returnUse(tx *sqldb.Tx, id string, now time.Time) error {
	at, err := scanLink(tx.QueryRow("UPDATE payments_links SET used = used - 1, version = version + 1, updated_at = ?,"+
		" state = CASE WHEN state = 'used' THEN 'open' ELSE state END,"+
		" due_at = CASE WHEN state = 'used' THEN expires_at ELSE due_at END"+
		" WHERE id = ? AND used > 0 RETURNING "+linkColumns, now.UnixMilli(), id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("payments: link: %w", err)
	}
	return s.announceLink(tx, at, "returned", now)
}

// sweepLinks lets the time of open links run out and returns how many it looked at.
func (s *Service) sweepLinks(ctx context.Context) (int, error) {
	now := s.now()
	var due []string
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT id FROM payments_links WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?", now.UnixMilli(), sweepPage)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			due = append(due, id)
		}
		return rows.Err()
	})
	var errs []error
	for _, id := range due {
		errs = append(errs, s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
			at, err := scanLink(tx.QueryRow("UPDATE payments_links SET state = 'expired', version = version + 1, updated_at = ?, due_at = 0"+
				" WHERE id = ? AND due_at > 0 AND due_at <= ? RETURNING "+linkColumns, now.UnixMilli(), id, now.UnixMilli()))
			if errors.Is(err, sql.ErrNoRows) {
				return nil // another node was faster
			}
			if err != nil {
				return err
			}
			return s.announceLink(tx, at, "expired", now)
		}))
	}
	if err = errors.Join(append(errs, err)...); err != nil {
		err = fmt.Errorf("payments: sweep links: %w", err)
	}
	return len(due), err
}

// amountFor returns what a payer who names amount pays.
func (at link) amountFor(amount int64) (int64, error) {
	switch {
	case at.amount > 0 && amount != 0 && amount != at.amount:
		return 0, fmt.Errorf("%w: the link says %d", ErrAmount, at.amount)
	case at.amount > 0:
		return at.amount, nil
	case amount < at.min || amount > at.max:
		return 0, fmt.Errorf("%w: the link takes %d to %d", ErrAmount, at.min, at.max)
	}
	return amount, nil
}
