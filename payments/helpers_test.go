package payments_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"parley/internal/clock"
	"parley/internal/crash"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
	"parley/payments/ledger"
	"parley/payments/outbox"
)

func TestMain(m *testing.M) {
	crash.Main(roles)
	goleak.VerifyTestMain(m)
}

// schemas are those a Service needs.
func schemas() sqldbtest.Schemas {
	return sqldbtest.Schemas{"payments": payments.Schema(), "ledger": ledger.Schema(), "outbox": outbox.Schema()}
}

// digest is a digester good enough for tests.
func digest(s payments.Snapshot) ([]byte, string, error) {
	b, err := json.Marshal(s)
	sum := sha256.Sum256(b)
	return b, hex.EncodeToString(sum[:]), err
}

// world is a service with money in it.
type world struct {
	*payments.Service
	t     testing.TB
	db    *sqldb.DB
	clock *clock.Shifted
	keys  *atomic.Int64
}

var server = payments.Actor{Server: true}

func newWorld(t testing.TB, db *sqldb.DB, cfg payments.Config, change ...func(*payments.Deps)) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: &clock.Shifted{}, keys: new(atomic.Int64)}
	deps := payments.Deps{DB: db, Clock: w.clock, Digester: digest, Rail: payments.Sandbox{},
		Sensitive: func(text string) bool { return strings.Contains(text, "4111") }}
	for _, c := range change {
		c(&deps)
	}
	s, err := payments.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s
	runTransfers(t, s)
	return w
}

// as returns the actor with a fresh key.
func (w *world) as(user string) payments.Actor {
	key := fmt.Sprintf("key-%d", w.keys.Add(1))
	if user == "server" {
		return payments.Actor{Server: true, Key: key}
	}
	return payments.Actor{User: user, Key: key}
}

func (w *world) fund(user string, amount int64) {
	w.t.Helper()
	if _, err := w.Fund(w.t.Context(), w.as("server"), payments.FundInput{User: user, Amount: amount, Currency: "EUR"}); err != nil {
		w.t.Fatal(err)
	}
}

// request makes the buyer's payment to the seller.
func (w *world) request(amount int64, confirm string) payments.Payment {
	w.t.Helper()
	p, err := w.Create(w.t.Context(), w.as("server"), payments.CreateInput{Payer: "buyer", Payee: "seller", Amount: amount, Currency: "EUR", Order: "ord_77", Memo: "Bike", Confirm: confirm})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// held makes a request that is on hold.
func (w *world) held(amount int64, confirm string) payments.Payment {
	w.t.Helper()
	return w.must(w.Hold(w.t.Context(), w.as("buyer"), w.request(amount, confirm).ID, 0))
}

func (w *world) captured(amount int64) payments.Payment {
	w.t.Helper()
	p := w.held(amount, payments.ConfirmNone)
	return w.must(w.Capture(w.t.Context(), w.as("server"), p.ID, 0))
}

func (w *world) must(p payments.Payment, err error) payments.Payment {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// confirm submits one party's confirmation in a transaction of its own.
func (w *world) confirm(by payments.Actor, p payments.Payment, transcript string) (payments.Payment, error) {
	var got payments.Payment
	err := w.db.Update(w.t.Context(), func(tx *sqldb.Tx) (err error) {
		got, err = w.ConfirmTx(tx, payments.Confirmation{By: by, Payment: p.ID, Version: p.Version, Digest: p.Digest, Call: "call_1", Transcript: transcript})
		return err
	})
	return got, err
}

// available returns what a user can spend.
func (w *world) available(user string) int64 {
	w.t.Helper()
	return w.posted("user:" + user + ":available")
}

// posted returns an account's balance, 0 when there is no such account.
func (w *world) posted(account string) int64 {
	w.t.Helper()
	var n int64
	err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error {
		accounts, err := ledger.Balances(tx, account)
		for _, a := range accounts {
			n += a.Posted
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// check holds the ledger to its invariants, and payments to the ledger.
func (w *world) check() {
	w.t.Helper()
	if _, err := ledger.Check(context.Background(), w.db, nil); err != nil {
		w.t.Fatal(err)
	}
	if _, err := payments.Explain(context.Background(), w.db, nil); err != nil {
		w.t.Fatal(err)
	}
}

// changes lists the events of a payment in order.
func (w *world) changes(id string) []string {
	w.t.Helper()
	var all []string
	err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT data FROM outbox_events WHERE object = ? ORDER BY object_seq", id)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var text string
			var data payments.EventData
			if err := rows.Scan(&text); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(text), &data); err != nil {
				return err
			}
			all = append(all, data.Change)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// runTransfers commits what the app moves until the test ends.
func runTransfers(t testing.TB, s *payments.Service) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.RunTransfers(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
