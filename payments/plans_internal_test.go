package payments

import (
	"strings"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

// TestQueries_UseTheIndexThatWasMadeForThem asks how queries are answered whose
// index has only some of the rows: one that does not say so reads a table, or
// all payments of a person, and is slower with every payment that is made.
func TestQueries_UseTheIndexThatWasMadeForThem(t *testing.T) {
	committed, args := Committed{Payer: "ann", Currency: "EUR", Since: time.UnixMilli(1), Except: "pay_1"}.where()
	listed, listArgs := listQuery(Actor{Server: true}, Filter{Conversation: "conv_1", Limit: 50})
	queries := map[string]struct {
		text string
		args []any
	}{
		"payments_intents_held (payer=? AND currency=? AND held_at>?)": {"SELECT COUNT(*)" + committed, args},
		"payments_intents_conversation (conversation=?)":               {listed, listArgs},
		"payments_orders_payment (payment=?)":                          {"SELECT COUNT(*) FROM payments_orders WHERE " + ofPayment + " AND action = 'capture'", []any{"pay_1"}},
	}
	db := sqldbtest.Open(t, sqldbtest.Schemas{"payments": Schema()})
	for index, q := range queries {
		plan := ""
		err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			b := tx.Batch()
			b.Query("EXPLAIN QUERY PLAN "+q.text, func(r sqldb.Row) error {
				var id, parent, unused int64
				var step string
				err := r.Scan(&id, &parent, &unused, &step)
				plan += step + "\n"
				return err
			}, q.args...)
			return b.Send()
		})
		if err != nil || !strings.Contains(plan, index) {
			t.Errorf("want %s, got %s%v", index, plan, err)
		}
	}
}
