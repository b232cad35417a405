package payments

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

const orderColumns = "id, rev, rail, action, user_id, amount, currency, account, holder, name_check, payment, payment_version, authorisation, of_rail_id," +
	" left_over, state, rail_id, reason, tries, due_at, waited, scope, key, safety, created_at, updated_at"

func scanOrder(row scanner) (order, error) {
	var o order
	var due, waited, created, updated int64
	err := row.Scan(&o.ID, &o.rev, &o.Rail, &o.Action, &o.User, &o.Amount, &o.Currency, &o.Account, &o.Holder, &o.Checked, &o.Payment, &o.Version,
		&o.Authorisation, &o.OfRailID, &o.LeftOver, &o.State, &o.RailID, &o.Reason, &o.Tries, &due, &waited, &o.Scope, &o.Key, &o.Safety, &created, &updated)
	o.Due, o.Waited, o.CreatedAt, o.Updated = fromMillis(due), waited != 0, fromMillis(created), fromMillis(updated)
	return o, err
}

func insertOrder(tx *sqldb.Tx, o order) error {
	_, err := tx.Exec("INSERT INTO payments_orders ("+orderColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		o.ID, 1, o.Rail, string(o.Action), o.User, o.Amount, o.Currency, o.Account, o.Holder, string(o.Checked), o.Payment, o.Version,
		o.Authorisation, o.OfRailID, o.LeftOver, string(o.State), o.RailID, o.Reason, o.Tries, millis(o.Due), flag(o.Waited), o.Scope, o.Key, o.Safety,
		millis(o.CreatedAt), millis(o.Updated))
	if err != nil {
		return fmt.Errorf("payments: insert order: %w", err)
	}
	return nil
}

// errOrderMoved says that another node has changed the order meanwhile.
var errOrderMoved = errors.New("payments: the order changed meanwhile")

// updateOrder writes what can change, if nobody else has changed the order since it was read.
func updateOrder(tx *sqldb.Tx, o order) error {
	n, err := tx.Exec("UPDATE payments_orders SET rev = rev + 1, left_over = ?, state = ?, rail_id = ?, reason = ?, tries = ?, due_at = ?, waited = ?, updated_at = ?"+
		" WHERE id = ? AND rev = ?",
		o.LeftOver, string(o.State), o.RailID, o.Reason, o.Tries, millis(o.Due), flag(o.Waited), millis(o.Updated), o.ID, o.rev)
	if err != nil {
		return fmt.Errorf("payments: update order: %w", err)
	}
	if n != 1 {
		return errOrderMoved
	}
	return nil
}

// loadOrder returns an order, or ErrOrderUnknown.
func loadOrder(tx *sqldb.Tx, id string) (order, error) {
	o, err := scanOrder(tx.QueryRow("SELECT "+orderColumns+" FROM payments_orders WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return order{}, fmt.Errorf("%w: %.80s", ErrOrderUnknown, id)
	}
	if err != nil {
		return order{}, fmt.Errorf("payments: load order: %w", err)
	}
	return o, nil
}

// ofPayment is the condition for the orders of a payment; its second half lets
// the index be used, which has no others.
const ofPayment = "payment = ? AND payment <> ''"

// queryOrders returns the orders that a condition on the columns selects.
func queryOrders(tx *sqldb.Tx, where string, args ...any) ([]order, error) {
	rows, err := tx.Query("SELECT "+orderColumns+" FROM payments_orders WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("payments: orders: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var orders []order
	for rows.Next() {
		o, err := scanOrder(rows)
		if err != nil {
			return nil, fmt.Errorf("payments: orders: %w", err)
		}
		orders = append(orders, o)
	}
	return orders, rows.Err()
}

// dueOrders returns up to limit orders of a rail that are due, the longest waiting first.
func dueOrders(tx *sqldb.Tx, rail string, now time.Time, limit int) ([]order, error) {
	return queryOrders(tx, "rail = ? AND due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?", rail, now.UnixMilli(), limit)
}
