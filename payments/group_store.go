package payments

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// group is a request to several people with its shares, in the order of the payers' ids.
type group struct {
	id, payee, payeeName         string
	amount                       int64
	currency, memo, conversation string
	state                        RequestState
	version                      int64
	created, updated             time.Time
	shares                       []Intent
}

const groupColumns = "id, payee, payee_name, amount, currency, memo, conversation, state, version, created_at, updated_at"

func scanGroup(row scanner) (at group, err error) {
	var created, updated int64
	err = row.Scan(&at.id, &at.payee, &at.payeeName, &at.amount, &at.currency, &at.memo, &at.conversation, &at.state, &at.version, &created, &updated)
	at.created, at.updated = fromMillis(created), fromMillis(updated)
	return at, err
}

func insertGroup(tx *sqldb.Tx, at group) error {
	_, err := tx.Exec("INSERT INTO payments_requests ("+groupColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		at.id, at.payee, at.payeeName, at.amount, at.currency, at.memo, at.conversation, string(at.state), at.version, millis(at.created), millis(at.updated))
	if err != nil {
		return fmt.Errorf("payments: insert request: %w", err)
	}
	return nil
}

// loadGroup returns a request with its shares, or ErrRequestUnknown.
func loadGroup(tx *sqldb.Tx, id string) (group, error) {
	at, err := scanGroup(tx.QueryRow("SELECT "+groupColumns+" FROM payments_requests WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return group{}, fmt.Errorf("%w: %.80s", ErrRequestUnknown, id)
	}
	if err != nil {
		return group{}, fmt.Errorf("payments: load request: %w", err)
	}
	at.shares, err = sharesOf(tx, id)
	return at, err
}

func sharesOf(tx *sqldb.Tx, id string) (shares []Intent, err error) {
	rows, err := tx.Query("SELECT "+intentColumns+" FROM payments_intents WHERE request = ? AND request <> '' ORDER BY payer", id)
	if err != nil {
		return nil, fmt.Errorf("payments: shares: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		at, err := scanIntent(rows)
		if err != nil {
			return nil, fmt.Errorf("payments: shares: %w", err)
		}
		shares = append(shares, at.Intent)
	}
	return shares, rows.Err()
}

// lockShares locks the payments of a request, which are the same ever after it was made.
func lockShares(tx *sqldb.Tx, id string) error {
	shares, err := sharesOf(tx, id)
	if err != nil {
		return err
	}
	keys := make([]string, len(shares))
	for i, share := range shares {
		keys[i] = paymentLock(share.ID)
	}
	return tx.Lock(keys...)
}

// moveGroup makes the next version of a request and returns it with its shares.
func (s *Service) moveGroup(tx *sqldb.Tx, id string, state RequestState, now time.Time) (group, error) {
	if err := tx.Lock("request:" + id); err != nil {
		return group{}, err
	}
	_, err := tx.Exec("UPDATE payments_requests SET state = ?, version = version + 1, updated_at = ? WHERE id = ?", string(state), now.UnixMilli(), id)
	if err != nil {
		return group{}, fmt.Errorf("payments: request: %w", err)
	}
	return loadGroup(tx, id)
}

func findGroups(tx *sqldb.Tx, a Actor, cursor string, limit int) (found []group, err error) {
	query, args := "SELECT "+groupColumns+" FROM payments_requests WHERE (? = '' OR id < ?)", []any{cursor, cursor}
	if !a.Server {
		query += " AND (payee = ? OR id IN (SELECT request FROM payments_intents WHERE payer = ? AND request <> ''))"
		args = append(args, a.User, a.User)
	}
	if found, err = scanGroups(tx, query+" ORDER BY id DESC LIMIT ?", append(args, limit)); err != nil {
		return nil, fmt.Errorf("payments: requests: %w", err)
	}
	for i := range found {
		if found[i].shares, err = sharesOf(tx, found[i].id); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func scanGroups(tx *sqldb.Tx, query string, args []any) (found []group, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		at, err := scanGroup(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, at)
	}
	return found, rows.Err()
}

// asks reports whether user is asked for a share.
func (at group) asks(user string) bool {
	for _, share := range at.shares {
		if share.Payer == user {
			return true
		}
	}
	return false
}

// refusalTo is what somebody hears who may not act on the request.
func (at group) refusalTo(a Actor) error {
	if at.asks(a.User) {
		return fmt.Errorf("%w: cancel", ErrNotParty)
	}
	return ErrRequestUnknown
}

// view shows the request to a; the zero Actor is the conversation it is in.
func (at group) view(a Actor) GroupRequest {
	isAll, isShared := a.Server || a.User != "" && a.User == at.payee, at.conversation != ""
	r := GroupRequest{
		ID: at.id, State: at.state, Version: at.version, Payee: at.payee, PayeeName: at.payeeName, Currency: at.currency, Memo: at.memo,
		Conversation: at.conversation, Payers: []SharePayer{}, Items: []Payment{}, CreatedAt: at.created, UpdatedAt: at.updated,
	}
	if isAll || isShared {
		r.Amount = at.amount
	}
	collected := int64(0)
	for _, share := range at.shares {
		collected += share.Captured - share.Refunded
		isOwn := a.User != "" && share.Payer == a.User
		if isAll || isShared || isOwn {
			r.Payers = append(r.Payers, SharePayer{User: share.Payer})
		}
		if isAll || isOwn {
			r.Items = append(r.Items, view(share))
		}
	}
	if isAll {
		r.Collected = &collected
	}
	return r
}
