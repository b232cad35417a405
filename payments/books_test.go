package payments_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
	"parley/payments/ledger"
)

func leg(account string, amount int64) ledger.Posting {
	return ledger.Posting{Account: account, Currency: "EUR", Amount: amount}
}

func transfer(from, to string, amount int64) []payments.Movement {
	return []payments.Movement{{Legs: []ledger.Posting{leg(from, -amount), leg(to, amount)}}}
}

// openBank opens app:bank, which may go negative, and app:bonus, which may not.
func (w *world) openBank() {
	w.t.Helper()
	for id, negative := range map[string]bool{"app:bank": true, "app:bonus": false} {
		if _, err := w.Books().Open(w.t.Context(), server, payments.AccountInput{ID: id, Currency: "EUR", MayGoNegative: negative}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) move(moves []payments.Movement) ledger.Entry {
	w.t.Helper()
	entries, err := w.Books().Move(w.t.Context(), w.as("server"), moves)
	if err != nil {
		w.t.Fatal(err)
	}
	return entries[0]
}

func TestBooks_LeavePaymentsAlone(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{FeeBasisPoints: 100})
		w.openBank()
		w.fund("buyer", 50000)
		paid := w.captured(12000)
		w.held(1000, payments.ConfirmNone)
		for _, account := range []string{"user:buyer:held", "user:seller:disputed", "user:buyer:payout", "fees", "rail:sandbox", "exchange:main", "opening",
			"user::available", "user:a:b:available", "user:buyer:available:held", "app:", "app:no spaces", "bank", "", "app:" + strings.Repeat("x", 121)} {
			for _, moves := range [][]payments.Movement{transfer("app:bank", account, 5), transfer(account, "app:bank", 5)} {
				if _, err := w.Books().Move(t.Context(), w.as("server"), moves); !errors.Is(err, payments.ErrReserved) {
					t.Errorf("%q: %v", account, err)
				}
			}
			if _, err := w.Books().Close(t.Context(), server, account, "EUR"); !errors.Is(err, payments.ErrReserved) && !strings.HasPrefix(account, "app:") {
				t.Errorf("close %q: %v", account, err)
			}
			if _, err := w.Books().Open(t.Context(), server, payments.AccountInput{ID: account, Currency: "EUR"}); !errors.Is(err, payments.ErrReserved) {
				t.Errorf("open %q: %v", account, err)
			}
		}
		entries, err := w.Books().Transfers(t.Context(), server, ledger.Query{Account: "user:seller:available", Limit: 10})
		if err != nil || len(entries) == 0 {
			t.Fatalf("%v, %v", entries, err)
		}
		for _, e := range entries { // what payments made
			if _, err := w.Books().Reverse(t.Context(), w.as("server"), payments.Resolution{Transfer: e.ID}); !errors.Is(err, payments.ErrReserved) {
				t.Errorf("reversed %s of payment %s: %v", e.Reference, paid.ID, err)
			}
		}
		if _, err := payments.Explain(t.Context(), db, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestBooks_OnlyAServerKeyUsesThem(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), payments.Config{})
	buyer, b := payments.Actor{User: "buyer", Key: "k"}, w.Books()
	ctx := t.Context()
	for name, try := range map[string]func() error{
		"move": func() error {
			_, err := b.Move(ctx, buyer, transfer("app:bank", "user:buyer:available", 5))
			return err
		},
		"post":    func() error { _, err := b.Post(ctx, buyer, payments.Resolution{}); return err },
		"void":    func() error { _, err := b.Void(ctx, buyer, payments.Resolution{}); return err },
		"reverse": func() error { _, err := b.Reverse(ctx, buyer, payments.Resolution{}); return err },
		"open": func() error {
			_, err := b.Open(ctx, buyer, payments.AccountInput{ID: "app:x", Currency: "EUR"})
			return err
		},
		"close":     func() error { _, err := b.Close(ctx, buyer, "app:x", "EUR"); return err },
		"metadata":  func() error { _, err := b.SetMetadata(ctx, buyer, "app:x", "EUR", nil); return err },
		"account":   func() error { _, err := b.Account(ctx, buyer, "app:x", "EUR"); return err },
		"accounts":  func() error { _, _, err := b.Accounts(ctx, buyer, ledger.Selection{}, "", 10); return err },
		"transfer":  func() error { _, err := b.Transfer(ctx, buyer, "tr"); return err },
		"transfers": func() error { _, err := b.Transfers(ctx, buyer, ledger.Query{Limit: 10}); return err },
		"statement": func() error {
			_, err := b.Statement(ctx, buyer, "user:buyer:available", "EUR", ledger.Period{}, 0, 10)
			return err
		},
		"balance": func() error {
			_, err := b.BalanceAt(ctx, buyer, "user:buyer:available", "EUR", time.Now(), false)
			return err
		},
	} {
		if err := try(); !errors.Is(err, payments.ErrNotParty) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBooks_OneKeyFromManyClientsMovesOnce(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.openBank()
		a := w.as("server")
		ids, errs := make([]string, 50), make([]error, 50)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				entries, err := w.Books().Move(t.Context(), a, transfer("app:bank", "user:buyer:available", 700))
				if errs[i] = err; err == nil {
					ids[i] = entries[0].ID
				}
			})
		}
		wg.Wait()
		for i := range ids {
			if errs[i] != nil || ids[i] != ids[0] {
				t.Errorf("client %d: %s, %v", i, ids[i], errs[i])
			}
		}
		if got := w.available("buyer"); got != 700 {
			t.Errorf("moved %d", got)
		}
	})
}

func TestBooks_AKeyWithAnotherBodyNamesTheField(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.openBank()
		a := w.as("server")
		first := transfer("app:bank", "user:buyer:available", 700)
		first[0].Note = "gift"
		if _, err := w.Books().Move(t.Context(), a, first); err != nil {
			t.Fatal(err)
		}
		for field, change := range map[string]func(*payments.Movement){
			"transfers[0].legs[0].amount":  func(m *payments.Movement) { m.Legs = transfer("app:bank", "user:buyer:available", 800)[0].Legs },
			"transfers[0].legs[1].account": func(m *payments.Movement) { m.Legs = transfer("app:bank", "user:seller:available", 700)[0].Legs },
			"transfers[0].note":            func(m *payments.Movement) { m.Note = "loan" },
			"transfers[0].reference":       func(m *payments.Movement) { m.Reference = "r" },
			"transfers[0].pending":         func(m *payments.Movement) { m.Pending = true },
			"transfers[0].effective_at":    func(m *payments.Movement) { m.EffectiveAt = time.Unix(1, 0) },
		} {
			other := first[0]
			change(&other)
			_, err := w.Books().Move(t.Context(), a, []payments.Movement{other})
			var reused *payments.KeyReusedError
			if !errors.As(err, &reused) || reused.Field != field && field != "transfers[0].pending" {
				t.Errorf("%s: %v", field, err)
			}
		}
		var reused *payments.KeyReusedError
		if _, err := w.Books().Void(t.Context(), a, payments.Resolution{Transfer: "x"}); !errors.As(err, &reused) || reused.Field != "operation" {
			t.Errorf("another operation: %v", err)
		}
		if _, err := w.Books().Move(t.Context(), server, first); !errors.Is(err, payments.ErrKeyMissing) {
			t.Errorf("no key: %v", err)
		}
	})
}

// TestBooks_ARefusalIsRememberedUnderItsKey: what state refused stays refused
// under its key, even when it would be possible later.
func TestBooks_ARefusalIsRememberedUnderItsKey(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.openBank()
		a := w.as("server")
		moves := transfer("app:bonus", "user:buyer:available", 10)
		for range 2 {
			if _, err := w.Books().Move(t.Context(), a, moves); !errors.Is(err, ledger.ErrInsufficient) {
				t.Fatal(err)
			}
			w.move(transfer("app:bank", "app:bonus", 10))
		}
		w.move(moves)
	})
}

// TestBooks_RefusalsAndSuccessesShareCommits has many clients move at once what
// is there and what is not, each twice under one key: every client gets one
// answer, the refused ones keep theirs when the money has come, and what was
// answered is what was moved.
func TestBooks_RefusalsAndSuccessesShareCommits(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.openBank()
		const clients = 40
		actors := make([]payments.Actor, clients)
		for i := range actors {
			actors[i] = w.as("server")
		}
		moves := func(i int) []payments.Movement {
			if i%2 == 0 {
				return transfer("app:bank", "user:buyer:available", 10)
			}
			return append(transfer("app:bank", "user:buyer:available", 3), transfer("app:bonus", "user:seller:available", 10)...)
		}
		all := func() (entries [2 * clients][]ledger.Entry, errs [2 * clients]error) {
			var wg sync.WaitGroup
			for i := range entries {
				wg.Go(func() { entries[i], errs[i] = w.Books().Move(t.Context(), actors[i/2], moves(i/2)) })
			}
			wg.Wait()
			return entries, errs
		}
		first, errs := all()
		w.move(transfer("app:bank", "app:bonus", 100_000))
		second, later := all()
		for i := range first {
			if refused := i/2%2 == 1; refused != errors.Is(errs[i], ledger.ErrInsufficient) || refused != errors.Is(later[i], ledger.ErrInsufficient) {
				t.Errorf("client %d: %v, then %v", i, errs[i], later[i])
			}
			if !reflect.DeepEqual(first[i], first[i/2*2]) || !reflect.DeepEqual(first[i], second[i]) {
				t.Errorf("client %d: %+v, %+v, then %+v", i, first[i/2*2], first[i], second[i])
			}
		}
		if buyer, seller := w.available("buyer"), w.available("seller"); buyer != 10*clients/2 || seller != 0 {
			t.Errorf("buyer has %d, seller %d", buyer, seller)
		}
		if _, err := ledger.Check(t.Context(), db, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestBooks_OneKeyForTwoKindsOfRequest races a transfer and a reversal, which
// goes its own way, for one key: one of them has it, the other moves nothing.
func TestBooks_OneKeyForTwoKindsOfRequest(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.openBank()
		for range 10 {
			gift := w.move(transfer("app:bank", "app:bonus", 1))
			a, before := w.as("server"), w.appBalance("app:bonus")
			var moved, reversed error
			var wg sync.WaitGroup
			wg.Go(func() { _, moved = w.Books().Move(t.Context(), a, transfer("app:bank", "app:bonus", 10)) })
			wg.Go(func() { _, reversed = w.Books().Reverse(t.Context(), a, payments.Resolution{Transfer: gift.ID}) })
			wg.Wait()
			lost, want := moved, before-1
			if moved == nil {
				lost, want = reversed, before+10
			}
			if !errors.Is(lost, payments.ErrKeyReused) && !errors.Is(lost, payments.ErrInProgress) && !errors.Is(lost, ledger.ErrDuplicate) {
				t.Errorf("moved: %v, reversed: %v", moved, reversed)
			}
			if got := w.appBalance("app:bonus"); got != want {
				t.Errorf("moved: %v, reversed: %v, %d is left of %d", moved, reversed, got, before)
			}
		}
	})
}

func (w *world) appBalance(account string) int64 {
	w.t.Helper()
	p, err := w.Books().Account(w.t.Context(), server, account, "EUR")
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Posted
}

func TestBooks_PendingIsPostedVoidedOrExpires(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.openBank()
		w.move(transfer("app:bank", "user:buyer:available", 1000))
		reserve := func(amount int64) string {
			m := transfer("user:buyer:available", "app:bonus", amount)
			m[0].Pending, m[0].ExpiresIn = true, time.Hour
			return w.move(m).ID
		}
		part, gone, late := reserve(300), reserve(200), reserve(100)
		resolve := func(do func(payments.Resolution) (ledger.Entry, error), r payments.Resolution) error {
			_, err := do(r)
			return err
		}
		post := func(r payments.Resolution) (ledger.Entry, error) {
			return w.Books().Post(t.Context(), w.as("server"), r)
		}
		void := func(r payments.Resolution) (ledger.Entry, error) {
			return w.Books().Void(t.Context(), w.as("server"), r)
		}
		if items, err := w.Balances(t.Context(), server, "buyer"); err != nil || items[0].Available != 400 {
			t.Errorf("with 600 reserved: %+v, %v", items, err)
		}
		if err := resolve(post, payments.Resolution{Transfer: part, Legs: transfer("user:buyer:available", "app:bonus", 301)[0].Legs}); !errors.Is(err, ledger.ErrShape) {
			t.Errorf("more than reserved: %v", err)
		}
		if err := resolve(post, payments.Resolution{Transfer: part, Legs: transfer("user:buyer:available", "app:bonus", 120)[0].Legs}); err != nil {
			t.Error(err)
		}
		if err := resolve(void, payments.Resolution{Transfer: gone}); err != nil {
			t.Error(err)
		}
		for _, of := range []string{part, gone} {
			if err := resolve(post, payments.Resolution{Transfer: of}); !errors.Is(err, ledger.ErrResolved) {
				t.Errorf("again: %v", err)
			}
		}
		w.clock.Advance(time.Hour)
		if err := resolve(post, payments.Resolution{Transfer: late}); !errors.Is(err, ledger.ErrHoldExpired) {
			t.Errorf("late: %v", err)
		}
		if n, err := w.Books().Sweep(t.Context()); n != 1 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
		e, err := w.Books().Transfer(t.Context(), server, late)
		if err != nil || e.ResolvedBy == "" {
			t.Errorf("expired: %+v, %v", e, err)
		}
		if got := w.available("buyer"); got != 880 {
			t.Errorf("left %d", got)
		}
		if _, err := ledger.Check(t.Context(), db, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestBooks_ReverseWhatTheAppMoved(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.openBank()
		gift := w.move(transfer("app:bank", "user:buyer:available", 500))
		a := w.as("server")
		for range 2 { // the same key, the same answer
			back, err := w.Books().Reverse(t.Context(), a, payments.Resolution{Transfer: gift.ID, Note: "mistake"})
			if err != nil || back.Resolves != gift.ID || back.Note != "mistake" {
				t.Fatalf("%+v, %v", back, err)
			}
		}
		if _, err := w.Books().Reverse(t.Context(), w.as("server"), payments.Resolution{Transfer: gift.ID}); !errors.Is(err, ledger.ErrReversed) {
			t.Errorf("with another key: %v", err)
		}
		if got := w.available("buyer"); got != 0 {
			t.Errorf("left %d", got)
		}
	})
}

func TestBooks_LinkedTransfersHappenAllOrNone(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.openBank()
		var moves []payments.Movement
		for i := range 10 {
			m := transfer("app:bank", fmt.Sprintf("user:u%d:available", i), 10)[0]
			m.Reference = fmt.Sprintf("payday-%d", i)
			moves = append(moves, m)
		}
		broken := append(moves[:9:9], transfer("app:bonus", "user:u9:available", 10)...)
		if _, err := w.Books().Move(t.Context(), w.as("server"), broken); !errors.Is(err, ledger.ErrInsufficient) {
			t.Errorf("%v", err)
		}
		if got := w.available("u0"); got != 0 {
			t.Errorf("u0 got %d of a group that failed", got)
		}
		entries, err := w.Books().Move(t.Context(), w.as("server"), moves)
		if err != nil || len(entries) != 10 || entries[3].Reference != "app/payday-3" {
			t.Fatalf("%+v, %v", entries, err)
		}
		if _, err := w.Books().Move(t.Context(), w.as("server"), moves[:1]); !errors.Is(err, ledger.ErrDuplicate) {
			t.Errorf("the same reference: %v", err)
		}
	})
}
