package payments_test

import (
	"errors"
	"strings"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
	"parley/payments/ledger"
)

func TestExplain_NamesWhatItsTransfersDoNotSay(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{Fees: map[string]payments.FeeRule{"EUR": {BasisPoints: 150, Fixed: 10}}})
		w.fund("buyer", 100_000)
		done := w.captured(12_000)
		w.must(w.Refund(t.Context(), w.as("seller"), done.ID, 5_000))
		open := w.held(2_000, payments.ConfirmNone)
		disputed := w.captured(3_000)
		w.must(w.Report(t.Context(), w.as("buyer"), disputed.ID))
		w.request(700, payments.ConfirmNone)
		w.check()
		for _, c := range []struct{ name, payment, set, names string }{
			{"held", open.ID, "held = held + 1", open.ID + ": held"},
			{"captured", done.ID, "captured = captured - 1, capture_limit = capture_limit - 1", done.ID + ": captured"},
			{"refunded", done.ID, "refunded = refunded + 1", done.ID + ": refunded"},
			{"fee", done.ID, "fee = fee + 1", done.ID + ": fee"},
			{"fee refunded", done.ID, "fee_refunded = fee_refunded - 1", done.ID + ": fee_refunded"},
			{"reserved", disputed.ID, "reserved = reserved - 1", disputed.ID + ": reserved"},
			{"state", done.ID, "state = 'refunded'", done.ID + ": state"},
			{"state before", open.ID, "state = 'requested'", open.ID + ": state"},
			{"currency", open.ID, "currency = 'USD'", open.ID + ": transfer"},
			{"payer", open.ID, "payer = 'other'", open.ID + ": transfer"},
			{"payee", disputed.ID, "payee = 'other'", disputed.ID + ": transfer"},
			{"id", open.ID, "id = 'pay_" + strings.Repeat("z", 26) + "'", "pay_" + strings.Repeat("z", 26)},
		} {
			undo := errors.New("undo")
			var found error
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				if n, err := tx.Exec("UPDATE payments_intents SET "+c.set+" WHERE id = ?", c.payment); err != nil || n != 1 {
					t.Errorf("%s: %d rows, %v", c.name, n, err)
				}
				found = payments.ExplainTx(tx)
				return undo
			})
			var unexplained *payments.Unexplained
			if !errors.Is(err, undo) || !errors.As(found, &unexplained) || !strings.Contains(found.Error(), c.names) {
				t.Errorf("%s: found %v, want %s", c.name, found, c.names)
			}
		}
		w.check()
	})
}

func TestExplain_NamesWhatNoPaymentAccountsFor(t *testing.T) {
	for name, c := range map[string]struct {
		transfer ledger.Transfer
		names    string
	}{
		"a transfer of no payment": {ledger.Transfer{ID: "tr_x", Reference: "pay_" + strings.Repeat("0", 26) + "/1/hold",
			Legs: []ledger.Leg{{Account: "rail:sandbox", Currency: "EUR", Amount: -5}, {Account: "user:x:available", Currency: "EUR", Amount: 5}}}, "transfer tr_x"},
		"held without a payment": {ledger.Transfer{ID: "tr_x",
			Legs: []ledger.Leg{{Account: "rail:sandbox", Currency: "EUR", Amount: -5}, {Account: "user:x:held", Currency: "EUR", Amount: 5}}}, "account user:x:held EUR"},
		"disputed without a payment": {ledger.Transfer{ID: "tr_x",
			Legs: []ledger.Leg{{Account: "rail:sandbox", Currency: "EUR", Amount: -5}, {Account: "user:x:disputed", Currency: "EUR", Amount: 5}}}, "account user:x:disputed EUR"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
				w := newWorld(t, db, payments.Config{})
				book := ledger.New(payments.OpeningAccounts)
				err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					_, err := book.Record(tx, w.clock.Now(), c.transfer)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				_, err = payments.Explain(t.Context(), db, nil)
				var unexplained *payments.Unexplained
				if !errors.As(err, &unexplained) || !strings.Contains(err.Error(), c.names) {
					t.Errorf("found %v, want %s", err, c.names)
				}
			})
		})
	}
}
