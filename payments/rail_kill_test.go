package payments_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/clock"
	"parley/internal/crash"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
	"parley/payments/ledger"
)

// orderRole is the child that pays out over a rail until it is killed; its
// arguments are the database, the rail's URL and the moment of its death.
const orderRole = "orders"

// remoteRail is a rail behind HTTP, so that it outlives the process that asks.
type remoteRail struct{ url string }

func (remoteRail) Name() string { return "bank" }

func (r remoteRail) Order(ctx context.Context, o payments.RailOrder) (payments.RailOutcome, error) {
	return r.ask(ctx, "/order", o)
}

func (r remoteRail) Find(ctx context.Context, o payments.RailOrder, _ string) (payments.RailOutcome, error) {
	return r.ask(ctx, "/find", o)
}

func (r remoteRail) ask(ctx context.Context, path string, o payments.RailOrder) (out payments.RailOutcome, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return out, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, strings.NewReader(string(text)))
	if err != nil {
		return out, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// moment is when the worker is killed.
type moment string

const (
	beforeSend moment = "ordered, not sent"
	lostOnWay  moment = "sent, not arrived"
	beforeBook moment = "done at the rail, not booked"
	afterBook  moment = "booked"
)

// TestOrder_SurvivesAKillAtEachPoint kills a process that pays out, at each
// point on an order's way. Another process then ends the order: done once at
// the rail, booked once, nothing lost.
func TestOrder_SurvivesAKillAtEachPoint(t *testing.T) {
	for _, at := range []moment{beforeSend, lostOnWay, beforeBook, afterBook} {
		t.Run(string(at), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "killed.db")
			outside := newBank(nil)
			id := killOrderWorker(t, path, outside, at)
			db := sqldbtest.OpenFile(t, path, nil)
			clk := &clock.Shifted{}
			clk.Advance(2 * time.Minute) // the lease of the dead is over
			s, err := payments.New(payments.Config{}, payments.Deps{DB: db, Clock: clk, Digester: digest, Rail: outside, Sensitive: func(string) bool { return false }})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := s.SweepOrders(t.Context()); err != nil {
					t.Fatal(err)
				}
				clk.Advance(time.Minute)
			}
			p, err := s.GetTransfer(t.Context(), server, payments.RailPayout, id)
			if err != nil || p.State != payments.OrderDone {
				t.Errorf("%+v, %v", p, err)
			}
			if sum, n := outside.sum(payments.RailPayout); sum != 600 || n != 1 {
				t.Errorf("the bank paid %d in %d orders", sum, n)
			}
			if got, want := moneyOf(t, db), "available 400, on its way 0, rail -400"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if _, err := ledger.Check(t.Context(), db, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func moneyOf(t *testing.T, db *sqldb.DB) string {
	t.Helper()
	var got [3]int64
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		for i, id := range []string{"user:buyer:available", "user:buyer:payout", "rail:bank"} {
			a, err := ledger.Balance(tx, id, "EUR")
			if err != nil {
				return err
			}
			got[i] = a.Posted
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("available %d, on its way %d, rail %d", got[0], got[1], got[2])
}

// killOrderWorker runs a worker against the bank and kills it at the moment. It
// returns the payout's id.
func killOrderWorker(t *testing.T, path string, outside *bank, at moment) (payout string) {
	t.Helper()
	var child *crash.Child
	started, dead := make(chan struct{}), make(chan struct{})
	kill := sync.OnceFunc(func() {
		<-started
		child.Signal()
		close(dead)
	})
	rail := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o payments.RailOrder
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			t.Error(err)
		}
		isPayout := o.Action == payments.RailPayout
		if isPayout && at == lostOnWay {
			kill()
			return
		}
		out, err := outside.Order(r.Context(), o)
		if err != nil {
			t.Error(err)
		}
		if isPayout && at == beforeBook {
			kill()
			return
		}
		_ = json.NewEncoder(w).Encode(out) // the worker may be dead
	}))
	defer rail.Close()
	child = crash.Start(t, orderRole, path, rail.URL, string(at))
	close(started)
	for line, ok := child.Next(); ok; line, ok = child.Next() {
		word, id, _ := strings.Cut(line, " ")
		switch word {
		case "placed":
			payout = id
			if at == beforeSend {
				kill()
			}
		case "booked":
			kill()
		default:
			t.Errorf("the worker says %s", line)
		}
	}
	child.Kill()
	select {
	case <-dead:
	case <-time.After(patience):
		t.Fatal("the worker ended by itself")
	}
	return payout
}

// workOrders is the child: one payout, taken to the rail unless it is to be killed before.
func workOrders(args []string) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: args[0]})
	if err != nil {
		return err
	}
	for owner, files := range schemas() {
		err = errors.Join(err, db.Migrate(ctx, owner, files))
	}
	if err != nil {
		return err
	}
	go func() { _ = db.Run(ctx) }()
	s, err := payments.New(payments.Config{}, payments.Deps{DB: db, Clock: clock.System{}, Digester: digest, Rail: remoteRail{args[1]}, Sensitive: func(string) bool { return false }})
	if err != nil {
		return err
	}
	if _, err = s.Fund(ctx, payments.Actor{Server: true, Key: "f"}, payments.FundInput{User: "buyer", Amount: 1_000, Currency: "EUR"}); err != nil {
		return err
	}
	p, err := s.Payout(ctx, payments.Actor{User: "buyer", Key: "p"}, payments.PayoutInput{Amount: 600, Currency: "EUR", Destination: "iban"})
	if err != nil {
		return err
	}
	crash.Say("placed %s", p.ID)
	if moment(args[2]) != beforeSend {
		if _, err = s.SweepOrders(ctx); err != nil {
			return err
		}
		crash.Say("booked %s", p.ID)
	}
	<-ctx.Done() // never: the kill comes
	return nil
}
