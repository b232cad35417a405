package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

// notes is what submissions keep in these tests: one row for each.
var insertNote = sqldb.Over("INSERT INTO notes (id, text) {set} ON CONFLICT DO NOTHING", sqldb.Text, sqldb.Text)

func notesTable(t *testing.T, db *sqldb.DB) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, text TEXT NOT NULL)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func notes(t *testing.T, db *sqldb.DB) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		b := tx.Batch()
		b.Query("SELECT id, text FROM notes", func(r sqldb.Row) error {
			var id, text string
			err := r.Scan(&id, &text)
			got[id] = text
			return err
		})
		return b.Send()
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var errTaken = errors.New("taken")

// locks of a submission under a key; none has no locks.
func locks(key string) []string {
	if key == "" {
		return nil
	}
	return []string{key}
}

// noting is a submission that notes under its key what its group led to, unless there is a note.
func noting(key string, group ...Transfer) *order {
	taken := false
	return &order{keyed: true, done: make(chan struct{}), Submission: Submission{
		Transfers: group, Locks: locks(key),
		Read: func(b *sqldb.Batch) {
			taken = false
			b.Query("SELECT 1 FROM notes WHERE id = ?", func(r sqldb.Row) error { taken = true; return r.Scan(new(int64)) }, key)
		},
		Decide: func(*sqldb.Tx) ([]Transfer, error) {
			if taken {
				return nil, errTaken
			}
			return group, nil
		},
		Save: func(b *sqldb.Batch, entries []Entry, refused error) error {
			if errors.Is(refused, errTaken) {
				return nil
			}
			text := fmt.Sprintf("%d entries", len(entries))
			if errors.Is(refused, ErrInsufficient) {
				text = "refused"
			}
			b.ExecSet(insertNote, []string{key}, []string{text})
			return nil
		},
	}}
}

// TestCommit_SubmissionsKeepWhatTheirGroupsLedTo mixes in one commit what
// happens, what is refused and what was answered before, with groups that
// carry nothing: each note is there with its transfers, or alone for a refusal.
func TestCommit_SubmissionsKeepWhatTheirGroupsLedTo(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
		notesTable(t, db)
		c := testCommitter(db)
		batch := append(batchOf([]Transfer{pay("1", "world", "a", 10)}),
			noting("two", pay("2", "a", "b", 4), pay("3", "a", "c", 4)),
			noting("poor", pay("4", "a", "b", 3)),
			noting("used", pay("2", "a", "b", 1)),
			noting("last", pay("5", "a", "b", 2)))
		for _, o := range batch {
			if err := checkGroup(o.Transfers); err != nil {
				t.Fatal(err)
			}
		}
		together(t, c, batch)
		again := noting("poor", pay("6", "world", "b", 3))
		together(t, c, []*order{again})
		for i, want := range []error{nil, nil, ErrInsufficient, ErrDuplicate, nil} {
			if !errors.Is(batch[i].err, want) {
				t.Errorf("group %d: got %v, want %v", i, batch[i].err, want)
			}
		}
		if !errors.Is(again.err, errTaken) {
			t.Errorf("a key again: %v", again.err)
		}
		want := map[string]string{"two": "2 entries", "poor": "refused", "used": "0 entries", "last": "1 entries"}
		if got := notes(t, db); !maps.Equal(got, want) {
			t.Errorf("noted %v, want %v", got, want)
		}
		for _, e := range append(batch[1].entries, batch[4].entries...) {
			err := db.View(t.Context(), func(tx *sqldb.Tx) error {
				stored, err := Get(tx, e.ID)
				if !reflect.DeepEqual(stored, e) {
					t.Errorf("answered %+v, stored %+v", e, stored)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		if r, err := Check(t.Context(), db, nil); err != nil || r.Rows != 4+4 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestCommit_ANoteThatIsTakenMeanwhileUndoesItsTransfersOnly has somebody else
// write a note between reading and saving: that group is not recorded, the rest is.
func TestCommit_ANoteThatIsTakenMeanwhileUndoesItsTransfersOnly(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
		notesTable(t, db)
		c := testCommitter(db)
		late := noting("late", pay("2", "world", "b", 5))
		late.Decide = nil // it does not see the note, as if it had been written since
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO notes (id, text) VALUES ('late', 'of another')")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		batch := append(batchOf([]Transfer{pay("1", "world", "a", 10)}), late, noting("other", pay("3", "world", "c", 1)))
		for _, o := range batch {
			if err := checkGroup(o.Transfers); err != nil {
				t.Fatal(err)
			}
		}
		c.commit(t.Context(), batch)
		if batch[0].err != nil || !errors.Is(late.err, sqldb.ErrRows) || batch[2].err != nil {
			t.Errorf("%v, %v, %v", batch[0].err, late.err, batch[2].err)
		}
		if got := notes(t, db); got["late"] != "of another" || got["other"] == "" {
			t.Errorf("noted %v", got)
		}
		if r, err := Check(t.Context(), db, nil); err != nil || r.Postings != 4 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestCollect_OneKeyIsInOneCommitOnce leaves what has the key of another for
// the next commits, in order, and loses nobody.
func TestCollect_OneKeyIsInOneCommitOnce(t *testing.T) {
	c := NewCommitter(nil, nil, nil, CommitterConfig{GroupMax: 3})
	for i, key := range []string{"k", "k", "", "", "l", "k", "l"} {
		o := noting(key, pay(fmt.Sprint(i), "world", "a", 1))
		if err := c.enqueue(o); err != nil {
			t.Fatal(err)
		}
	}
	var got [][]string
	for len(c.queue) > 0 || len(c.over) > 0 {
		var ids []string
		for _, o := range c.collect(nil) {
			ids = append(ids, o.Transfers[0].ID)
		}
		got = append(got, ids)
	}
	want := [][]string{{"0", "2"}, {"1", "3", "4"}, {"5", "6"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("commits of %v, want %v", got, want)
	}
}

// TestRun_AnswersWhatWaitsWhenItEnds stops while orders with one key are left over.
func TestRun_AnswersWhatWaitsWhenItEnds(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.Schemas{"ledger": Schema()})
	notesTable(t, db)
	c := testCommitter(db)
	orders := make([]*order, 5)
	for i := range orders {
		orders[i] = noting("k", pay(fmt.Sprint(i), "world", "a", 1))
		if err := checkGroup(orders[i].Transfers); err != nil {
			t.Fatal(err)
		}
		if err := c.enqueue(orders[i]); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ended); err != nil {
		t.Fatal(err)
	}
	for i, o := range orders {
		<-o.done
		if want := map[bool]error{true: nil, false: errTaken}[i == 0]; !errors.Is(o.err, want) {
			t.Errorf("order %d: %v", i, o.err)
		}
	}
	if _, err := c.Submit(t.Context(), pay("late", "world", "a", 1)); !errors.Is(err, ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}

// TestCommit_WhatIsReadUnderALockStaysUntilTheCommit lets committers of several
// nodes and transactions of their own count up one note: each reads it, decides
// on what it read and writes. No step is lost, and none is taken back.
func TestCommit_WhatIsReadUnderALockStaysUntilTheCommit(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
		notesTable(t, db)
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO notes (id, text) VALUES ('n', '')")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		const each = 12
		read := func(b *sqldb.Batch, at *string) {
			b.Query("SELECT text FROM notes WHERE id = 'n'", func(r sqldb.Row) error { return r.Scan(at) })
		}
		write := func(b *sqldb.Batch, at string) {
			b.Exec("UPDATE notes SET text = ? WHERE id = 'n' AND text = ?", 1, at+".", at)
		}
		alone := func() error {
			return db.Update(t.Context(), func(tx *sqldb.Tx) error {
				var at string
				b := tx.Batch()
				b.Lock("n")
				read(b, &at)
				if err := b.Send(); err != nil {
					return err
				}
				b = tx.Batch()
				write(b, at)
				return b.Send()
			})
		}
		var wg sync.WaitGroup
		run := func(do func() error) {
			wg.Go(func() {
				for range each {
					if err := do(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 2 {
			c := testCommitter(db)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			defer func() {
				if stop(); <-ended != nil {
					t.Error("the committer did not end well")
				}
			}()
			for range 3 {
				run(func() error {
					var at string
					_, err := c.Commit(t.Context(), Submission{Locks: []string{"n"},
						Read:   func(b *sqldb.Batch) { read(b, &at) },
						Decide: func(*sqldb.Tx) ([]Transfer, error) { return nil, nil },
						Save:   func(b *sqldb.Batch, _ []Entry, _ error) error { write(b, at); return nil },
					})
					return err
				})
			}
		}
		run(alone)
		run(alone)
		wg.Wait()
		if got := notes(t, db)["n"]; len(got) != 8*each {
			t.Errorf("%d steps of %d", len(got), 8*each)
		}
	})
}

// TestCommit_DecidesOnTheChainOnlyWhatMoves commits a submission that keeps a
// note and moves nothing while somebody else has the chain, and decides on what
// to record by a query of its own.
func TestCommit_DecidesOnTheChainOnlyWhatMoves(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
		notesTable(t, db)
		c := testCommitter(db)
		still := noting("still")
		commit := func() { together(t, c, []*order{still}) }
		if db.Dialect() == sqldb.Postgres { // SQLite has one writer anyway
			if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				if err := tx.Lock(chainLock); err != nil {
					return err
				}
				commit() // would wait for the lock for ever
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		} else {
			commit()
		}
		asked := noting("asked")
		asked.Decide = func(tx *sqldb.Tx) ([]Transfer, error) {
			var text string
			err := tx.QueryRow("SELECT text FROM notes WHERE id = 'still'").Scan(&text)
			return []Transfer{pay(fmt.Sprint(len(text)), "world", "a", 10)}, err
		}
		askew := noting("askew")
		askew.Decide = func(*sqldb.Tx) ([]Transfer, error) { return []Transfer{{ID: "askew"}}, nil }
		together(t, c, []*order{asked, askew})
		if asked.err != nil || !errors.Is(askew.err, ErrShape) || len(asked.entries) != 1 || asked.entries[0].ID != "9" {
			t.Errorf("%v, %v, %+v", asked.err, askew.err, asked.entries)
		}
		if got := notes(t, db); got["still"] != "0 entries" || got["asked"] != "1 entries" {
			t.Errorf("noted %v", got)
		}
		if r, err := Check(t.Context(), db, nil); err != nil || r.Rows != 2+1 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestCommit_WhatWasWrittenForNothingIsUndone refuses transfers of submissions
// that wrote when they decided: those that say so are not committed, not even
// what they wrote, and the rest is.
func TestCommit_WhatWasWrittenForNothingIsUndone(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
		notesTable(t, db)
		c := testCommitter(db)
		writing := func(key string, undo bool, group ...Transfer) *order {
			o := noting(key, group...)
			o.Decide = func(tx *sqldb.Tx) ([]Transfer, error) {
				_, err := tx.Exec("INSERT INTO notes (id, text) VALUES (?, 'written')", key+"'s decision")
				return group, err
			}
			o.Undo = func(refused error) bool { return undo && errors.Is(refused, ErrInsufficient) }
			return o
		}
		batch := []*order{
			writing("rich", true, pay("1", "world", "a", 10)),
			writing("poor", true, pay("2", "x", "a", 1)),
			writing("kept", false, pay("3", "x", "a", 1)),
			writing("poor too", true, pay("4", "x", "b", 1)),
			noting("last", pay("5", "a", "b", 4)),
		}
		c.commit(t.Context(), batch)
		for i, want := range []error{nil, ErrApart, ErrInsufficient, ErrApart, nil} {
			if !errors.Is(batch[i].err, want) || want == nil && batch[i].err != nil {
				t.Errorf("group %d: %v, want %v", i, batch[i].err, want)
			}
		}
		want := map[string]string{"rich": "1 entries", "rich's decision": "written", "kept": "refused", "kept's decision": "written", "last": "1 entries"}
		if got := notes(t, db); !maps.Equal(got, want) {
			t.Errorf("noted %v, want %v", got, want)
		}
		c.commit(t.Context(), []*order{writing("alone", true, pay("6", "x", "a", 1))})
		if got := notes(t, db); !maps.Equal(got, want) {
			t.Errorf("one alone noted %v, want %v", got, want)
		}
		if r, err := Check(t.Context(), db, nil); err != nil || r.Rows != 3+2 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestCommit_TakesLocksInTheOrderOfOthers has submissions and transactions of
// their own lock pairs of keys in the same order, which is not the one of the
// locks' numbers. If they waited for each other, one would run again.
func TestCommit_TakesLocksInTheOrderOfOthers(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
		c := testCommitter(db)
		var decided, ran atomic.Int64
		const pairs = 30
		for i := range pairs {
			first, second := fmt.Sprint("first", i), fmt.Sprint("second", i)
			has, free := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					ran.Add(1)
					if err := tx.Lock(first); err != nil {
						return err
					}
					if ran.Load() == int64(i+1) {
						close(has)
						<-free
					}
					return tx.Lock(second)
				})
				if err != nil {
					t.Error(err)
				}
			})
			<-has
			wg.Go(func() {
				o := &order{keyed: true, done: make(chan struct{}), Submission: Submission{Locks: []string{first, second},
					Read:   func(*sqldb.Batch) { close(free) },
					Decide: func(*sqldb.Tx) ([]Transfer, error) { decided.Add(1); return nil, nil }}}
				if db.Dialect() == sqldb.SQLite {
					close(free) // nobody else runs before the other has ended
					o.Read = nil
				}
				c.commit(t.Context(), []*order{o})
				if o.err != nil {
					t.Error(o.err)
				}
			})
			wg.Wait()
		}
		if ran.Load() != pairs || decided.Load() != pairs {
			t.Errorf("%d and %d runs of %d pairs", ran.Load(), decided.Load(), pairs)
		}
	})
}
