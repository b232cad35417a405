package payments_test

import (
	"context"
	"errors"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// notingGate lets holds pass, but for one payment, and notes each decision.
type notingGate struct{ denied string }

func (g *notingGate) Decide(context.Context, payments.Facts) (payments.Decision, error) {
	return payments.Decision{}, nil
}

func (g *notingGate) Look(_ context.Context, f payments.Facts) (payments.Facts, error) { return f, nil }

func (g *notingGate) Locks(payment, payer string) []string {
	return []string{"gate:" + payment, "gate:" + payer}
}

func (g *notingGate) CheckTx(*sqldb.Tx, string, int64, bool) error { return nil }

func (g *notingGate) PassTx(tx *sqldb.Tx, ask payments.GateAsk) (payments.GatePass, error) {
	b := tx.Batch()
	b.Exec("INSERT INTO payments_reminders (payment, at, count) VALUES (?, 1, 1)", 1, ask.Facts.Payment)
	if err := b.Send(); err != nil {
		return payments.GatePass{}, err
	}
	if ask.Facts.Payment == g.denied {
		return payments.GatePass{}, &payments.Stop{Reason: "denied"}
	}
	return payments.GatePass{}, nil
}

// TestTogether_TheGatesDecisionStaysWithTheHoldOrTheStop holds payments whose
// gate writes: its decision is there with the hold, and alone when it says no;
// where the money is missing nothing of it is.
func TestTogether_TheGatesDecisionStaysWithTheHoldOrTheStop(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		g := &notingGate{}
		w := newWorld(t, db, payments.Config{}, func(d *payments.Deps) { d.Gate = g })
		w.fund("buyer", 1_000)
		held, denied, poor := w.request(1_000, payments.ConfirmNone), w.request(1, payments.ConfirmNone), w.request(2, payments.ConfirmNone)
		g.denied = denied.ID
		for _, c := range []struct {
			id    string
			want  error
			notes int64
		}{{held.ID, nil, 1}, {denied.ID, payments.ErrSafetyDenied, 1}, {poor.ID, payments.ErrInsufficientFunds, 0}} {
			for range 2 { // the answer comes again under its key
				_, err := w.Hold(t.Context(), payments.Actor{User: "buyer", Key: c.id}, c.id, 0)
				if !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Errorf("got %v, want %v", err, c.want)
				}
			}
			var notes int64
			err := db.View(t.Context(), func(tx *sqldb.Tx) error {
				return tx.QueryRow("SELECT COUNT(*) FROM payments_reminders WHERE payment = ?", c.id).Scan(&notes)
			})
			if err != nil || notes != c.notes {
				t.Errorf("%d notes with %v, want %d: %v", notes, c.want, c.notes, err)
			}
		}
		w.check()
	})
}
