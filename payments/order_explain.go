package payments

import "parley/internal/sqldb"

// explainOrders compares what is on its way out of users' balances with the
// orders that are to take it out.
func explainOrders(tx *sqldb.Tx) error {
	rows, err := tx.Query("SELECT a.id, a.currency, a.posted, CAST(COALESCE(s.total, 0) AS BIGINT) FROM ledger_accounts a" +
		" LEFT JOIN (SELECT user_id, currency, SUM(amount) AS total FROM payments_orders" +
		" WHERE action IN ('payout', 'refund') AND state IN ('queued', 'sent', 'pending', 'unknown') GROUP BY 1, 2) s" +
		" ON a.id = 'user:' || s.user_id || ':payout' AND s.currency = a.currency" +
		" WHERE a.kind = 'user' AND a.id LIKE 'user:%:payout' AND a.posted <> COALESCE(s.total, 0) ORDER BY a.id, a.currency LIMIT 1")
	return explained(rows, err, "orders to the rail say")
}
