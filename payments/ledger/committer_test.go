package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

func now() time.Time { return at }

// committing returns a running committer.
func committing(t testing.TB, db *sqldb.DB) *ledger.Committer {
	c := ledger.NewCommitter(db, book, now, ledger.CommitterConfig{Pause: time.Millisecond, Tries: 12})
	running(t, c)
	return c
}

func referenced(tr ledger.Transfer, reference string) ledger.Transfer {
	tr.Reference = reference
	return tr
}

func TestSubmit_OneReferenceFromManyClientsIsOneTransfer(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		c := committing(t, db)
		answers := make([]ledger.Recorded, 50)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				got, err := c.Submit(t.Context(), referenced(move("world", "a", 10), "salary"))
				if err != nil {
					t.Error(err)
					return
				}
				answers[i] = got[0]
			})
		}
		wg.Wait()
		for _, a := range answers {
			if a != answers[0] {
				t.Errorf("two answers: %+v and %+v", a, answers[0])
			}
		}
		if got := balance(t, db, "a"); got.Posted != 10 {
			t.Errorf("a is %+v", got)
		}
		check(t, db)
	})
}

func TestSubmit_ReferenceStandsForOneContent(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		c := committing(t, db)
		first := referenced(move("world", "a", 10), "r")
		first.Note, first.EffectiveAt = "n", at.Add(-time.Hour)
		want, err := c.Submit(t.Context(), first, referenced(move("a", "b", 1), "r2"))
		if err != nil {
			t.Fatal(err)
		}
		again := func(change func(*ledger.Transfer)) ledger.Transfer {
			tr := first
			tr.ID, tr.Legs = id(), []ledger.Leg{eur("world", -10), eur("a", 10)}
			change(&tr)
			return tr
		}
		same := func(*ledger.Transfer) {}
		if got, err := c.Submit(t.Context(), again(same), referenced(move("a", "b", 1), "r2")); err != nil || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("sent again: %v, %v; want %v", got, err, want)
		}
		for field, group := range map[string][]ledger.Transfer{
			"amount":         {again(func(tr *ledger.Transfer) { tr.Legs = []ledger.Leg{eur("world", -11), eur("a", 11)} })},
			"account":        {again(func(tr *ledger.Transfer) { tr.Legs[1].Account = "b" })},
			"number of legs": {again(func(tr *ledger.Transfer) { tr.Legs = []ledger.Leg{eur("world", -10), eur("a", 5), eur("b", 5)} })},
			"currency":       {again(func(tr *ledger.Transfer) { tr.Legs[0].Currency, tr.Legs[1].Currency = "USD", "USD" })},
			"note":           {again(func(tr *ledger.Transfer) { tr.Note = "m" })},
			"effective time": {again(func(tr *ledger.Transfer) { tr.EffectiveAt = at })},
			"kind":           {again(func(tr *ledger.Transfer) { tr.Kind = ledger.Pending })},
			"with other":     {move("world", "c", 1), again(same)},
			"other transfer": {again(same), move("world", "c", 1)},
		} {
			_, err := c.Submit(t.Context(), group...)
			if !errors.Is(err, ledger.ErrDuplicate) || !strings.Contains(err.Error(), field) {
				t.Errorf("another %s: %v", field, err)
			}
		}
		if got := balance(t, db, "c"); got.Posted != 0 {
			t.Errorf("a refused group left %+v", got)
		}
		check(t, db)
	})
}

func TestSubmit_LinkedGroupsStayTogetherInTheChain(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		mustRecord(t, db, move("world", "a", 30))
		c := committing(t, db)
		var done atomic.Int64
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				to := fmt.Sprintf("p%d", i%7)
				got, err := c.Submit(t.Context(), move("a", to, 1), move("world", "jar", 1), move(to, "b", 1))
				switch {
				case errors.Is(err, ledger.ErrInsufficient):
				case err != nil:
					t.Error(err)
				case got[1].Seq != got[0].Seq+1 || got[2].Seq != got[1].Seq+1:
					t.Errorf("a group stands at %v", got)
				default:
					done.Add(1)
				}
			})
		}
		wg.Wait()
		a, b, jar := balance(t, db, "a"), balance(t, db, "b"), balance(t, db, "jar")
		if done.Load() != 30 || a.Posted != 0 || b.Posted != 30 || jar.Posted != 30 {
			t.Errorf("%d of 60 done; a %d, b %d, jar %d", done.Load(), a.Posted, b.Posted, jar.Posted)
		}
		check(t, db)
	})
}

func TestSubmit_SaysWhenItCannot(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	c := ledger.NewCommitter(db, book, now, ledger.CommitterConfig{QueueMax: 1})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Submit(gone, move("world", "a", 5)); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := c.Submit(t.Context(), move("world", "a", 5)); !errors.Is(err, ledger.ErrBusy) {
		t.Errorf("queue full: %v", err)
	}
	if _, err := c.Submit(t.Context(), move("world", "a", 0)); !errors.Is(err, ledger.ErrShape) {
		t.Errorf("not well formed: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Submit(t.Context(), move("world", "a", 5)); !errors.Is(err, ledger.ErrStopped) {
		t.Errorf("stopped: %v", err)
	}
	if got := balance(t, db, "a"); got.Posted != 0 {
		t.Errorf("a is %+v", got)
	}
}

func TestCommitter_FinishesWhatItAcceptedBeforeItStops(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	c := ledger.NewCommitter(db, book, now, ledger.CommitterConfig{GroupMax: 7})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var acked atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			switch _, err := c.Submit(t.Context(), move("world", "a", 1)); {
			case err == nil:
				if acked.Add(1) == 10 {
					stop()
				}
			case !errors.Is(err, ledger.ErrStopped):
				t.Error(err)
			}
		})
	}
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if got := balance(t, db, "a"); got.Posted != acked.Load() || acked.Load() < 10 {
		t.Errorf("a has %d, acknowledged %d", got.Posted, acked.Load())
	}
	check(t, db)
}

// node opens a database as a node of its own and returns its committer.
func node(t *testing.T, at string, migrate bool) (*sqldb.DB, *ledger.Committer) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if migrate {
		if err := db.Migrate(t.Context(), "ledger", ledger.Schema()); err != nil {
			t.Fatal(err)
		}
	}
	return db, committing(t, db)
}

// hammer moves money between few accounts from many clients over several
// committers and returns the references that were acknowledged. onAck, if not
// nil, hears of each.
func hammer(t *testing.T, nodes []*ledger.Committer, clients, each int, onAck func()) []string {
	t.Helper()
	var mu sync.Mutex
	var acked []string
	var wg sync.WaitGroup
	for g := range clients {
		wg.Go(func() {
			for i := range each {
				from, to := fmt.Sprintf("n%d", (g+i)%4), fmt.Sprintf("n%d", (g+i+1+i%3)%4)
				tr := referenced(move(from, to, int64(1+(g*i)%30)), fmt.Sprintf("h/%d/%d", g, i))
				_, err := nodes[(g+i)%len(nodes)].Submit(t.Context(), tr)
				switch {
				case err == nil:
					mu.Lock()
					acked = append(acked, tr.Reference)
					mu.Unlock()
					if onAck != nil {
						onAck()
					}
				case !errors.Is(err, ledger.ErrInsufficient):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return acked
}

// once verifies that each reference is recorded, and nothing besides them.
func once(t *testing.T, db *sqldb.DB, acked []string, others int64) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		for _, r := range acked {
			if _, found, err := ledger.Find(tx, r); err != nil || !found {
				return fmt.Errorf("%s: found %t, %w", r, found, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if r := check(t, db); r.Rows != others+int64(len(acked)) {
		t.Errorf("%d rows, want %d and %d acknowledged", r.Rows, others, len(acked))
	}
}

func fund4(t *testing.T, db *sqldb.DB) (rows int64) {
	for i := range 4 {
		mustRecord(t, db, move("world", fmt.Sprintf("n%d", i), 50))
	}
	return 5 + 4 // accounts opened, transfers
}

func TestCommitters_OfTwoNodesOnFewAccounts(t *testing.T) {
	sqldbtest.OnPostgres(t, func(t *testing.T, at string) {
		db, one := node(t, at, true)
		_, two := node(t, at, false)
		rows := fund4(t, db)
		once(t, db, hammer(t, []*ledger.Committer{one, two}, 16, 40, nil), rows)
	})
}

// TestCommitter_LosesItsConnectionAgainAndAgain has the server cut the
// committer's connections: what was acknowledged is there once.
func TestCommitter_LosesItsConnectionAgainAndAgain(t *testing.T) {
	sqldbtest.OnPostgres(t, func(t *testing.T, at string) {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		name := q.Get("search_path")
		q.Set("application_name", name)
		u.RawQuery = q.Encode()
		quiet, _ := node(t, at, true)
		rows := fund4(t, quiet)
		_, victim := node(t, u.String(), false)
		var acks, cuts atomic.Int64
		cut := func() {
			if acks.Add(1)%8 != 0 {
				return
			}
			err := quiet.Update(t.Context(), func(tx *sqldb.Tx) error {
				var n int64
				err := tx.QueryRow("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = ?", name).Scan(&n)
				cuts.Add(n)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		acked := hammer(t, []*ledger.Committer{victim}, 8, 30, cut)
		if cuts.Load() == 0 {
			t.Error("no connection was cut")
		}
		once(t, quiet, acked, rows)
	})
}
