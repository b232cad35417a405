package payments_test

import (
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// firstPayments are the migrations with three payments written between the first and the second.
func firstPayments(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(payments.Schema(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(payments.Schema(), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	now := time.Now().UnixMilli()
	later := now + 3_600_000
	begun := files["00001_init.sql"]
	for _, values := range []string{
		fmt.Sprintf("'pay_asked', 3, 'requested', 'live', 0, 0, 0, %d, 0, %d", later, later),
		fmt.Sprintf("'pay_held', 3, 'held', 'none', 1000, 0, 0, %d, %d, %d", later, later, later),
		fmt.Sprintf("'pay_done', 3, 'captured', 'live', 0, 1000, 25, %d, 0, 0", later),
	} {
		begun.Data = fmt.Appendf(begun.Data, "\nINSERT INTO payments_intents (id, rev, state, confirm, held, captured, fee, deadline, hold_expires, due_at,"+
			" version, digest, snapshot, payer, payee, payee_name, amount, currency, fee_basis_points, order_ref, memo, conversation, refunded, fee_refunded, reserved,"+
			" payer_confirmed, payee_confirmed, call_id, transcript, confirm_deadline, created_at, updated_at)"+
			" VALUES (%s, 1, 'd', '', 'buyer', 'seller', 'seller', 1000, 'EUR', 250, '', '', '', 0, 0, 0, 0, 0, '', '', 0, %d, %d);\n", values, now, now)
	}
	return files
}

// TestSchema_CarriesFirstPaymentsOver migrates a database that has payments of
// the first schema and goes on with them.
func TestSchema_CarriesFirstPaymentsOver(t *testing.T) {
	all := schemas()
	all["payments"] = firstPayments(t)
	sqldbtest.Each(t, all, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.fund("buyer", 5_000)
		if p := w.get("pay_asked"); p.State != payments.Requested || p.Capture != payments.CaptureAutomatic || p.FeeExpected != 25 || p.Total != 1_000 {
			t.Errorf("%+v", p)
		}
		if p := w.must(w.Hold(t.Context(), w.as("buyer"), "pay_asked", 0)); p.Held != 1_000 {
			t.Errorf("%+v", p)
		}
		if p := w.get("pay_held"); p.Held != 1_000 || p.Capturable != 1_000 || p.Capture != payments.CaptureManual {
			t.Errorf("%+v", p)
		}
		if p := w.must(w.Void(t.Context(), w.as("buyer"), "pay_held")); p.State != payments.Voided {
			t.Errorf("%+v", p)
		}
		if p := w.get("pay_done"); p.Fee != 25 || p.FeeRule.BasisPoints != 250 || p.FeeRule.PaidBy != payments.FeeByPayee {
			t.Errorf("%+v", p)
		}
	})
}
