package ledger

import (
	"errors"
	"slices"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

func batchOf(groups ...[]Transfer) []*order {
	batch := make([]*order, len(groups))
	for i, g := range groups {
		for j := range g {
			g[j].Kind = Posted
		}
		batch[i] = &order{Submission: Submission{Transfers: g}, done: make(chan struct{})}
	}
	return batch
}

func pay(id, from, to string, amount int64) Transfer {
	return Transfer{ID: id, Reference: "r-" + id, Legs: []Leg{{from, "EUR", -amount}, {to, "EUR", amount}}}
}

func testCommitter(db *sqldb.DB) *Committer {
	book := New(func(id string) (Terms, bool) {
		return Terms{Kind: "user", MayGoNegative: id == "world"}, id != "nobody"
	})
	return NewCommitter(db, book, func() time.Time { return time.UnixMilli(1) }, CommitterConfig{})
}

// together commits the batch as one transaction: a batch that the database
// refuses, which commit would take apart, fails the test.
func together(t *testing.T, c *Committer, batch []*order) {
	t.Helper()
	answers, err := c.try(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		batch[i].answer(a)
	}
}

// TestCommit_RefusalsInTheMiddleOfABatch commits one batch in which groups
// build on each other, and some may not happen: the others do not notice.
func TestCommit_RefusalsInTheMiddleOfABatch(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
		c := testCommitter(db)
		batch := batchOf(
			[]Transfer{pay("1", "world", "a", 10)},
			[]Transfer{pay("2", "a", "b", 6), pay("3", "a", "fresh", 5)}, // the second is too much: b has nothing, fresh is not opened
			[]Transfer{pay("4", "b", "c", 1)},
			[]Transfer{pay("5", "world", "nobody", 1)},
			[]Transfer{pay("1", "world", "a", 10)}, // the first again
			[]Transfer{pay("6", "a", "b", 10)},
			[]Transfer{pay("2", "b", "a", 1), pay("7", "b", "c", 2)}, // ids of a refused group are free
			[]Transfer{pay("8", "b", "c", 1), pay("8", "b", "c", 1)},
		)
		together(t, c, batch)
		for i, want := range []error{nil, ErrInsufficient, ErrInsufficient, ErrAccountUnknown, nil, nil, nil, ErrDuplicate} {
			if !errors.Is(batch[i].err, want) {
				t.Errorf("group %d: got %v, want %v", i, batch[i].err, want)
			}
		}
		if !slices.Equal(batch[4].recorded, batch[0].recorded) {
			t.Errorf("the first again: %v, at first %v", batch[4].recorded, batch[0].recorded)
		}
		got := map[string]int64{}
		err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			all, err := Accounts(tx, "", "", 10)
			for _, a := range all {
				got[a.ID] = a.Posted
			}
			return err
		})
		if err != nil || len(got) != 4 || got["world"] != -10 || got["a"] != 1 || got["b"] != 7 || got["c"] != 2 {
			t.Errorf("%v, %v", got, err)
		}
		if r, err := Check(t.Context(), db, nil); err != nil || r.Rows != 4+4 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestCommit_HoldsWithinOneBatch opens, posts and voids holds in one commit.
func TestCommit_HoldsWithinOneBatch(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
		c := testCommitter(db)
		reserve := func(id string) []Transfer {
			h := pay(id, "world", "a", 5)
			return []Transfer{h}
		}
		resolve := func(id, of string) []Transfer { return []Transfer{{ID: id, Resolves: of}} }
		batch := batchOf(reserve("h1"), reserve("h2"), reserve("h3"), resolve("p1", "h1"), resolve("v2", "h2"), resolve("v1", "h1"), resolve("p4", "h4"))
		for i, k := range []Kind{Pending, Pending, Pending, Post, Void, Void, Post} {
			batch[i].Transfers[0].Kind = k
		}
		together(t, c, batch)
		for i, want := range []error{nil, nil, nil, nil, nil, ErrResolved, ErrPendingUnknown} {
			if !errors.Is(batch[i].err, want) {
				t.Errorf("group %d: got %v, want %v", i, batch[i].err, want)
			}
		}
		if r, err := Check(t.Context(), db, nil); err != nil || r.OpenHolds != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		late := batchOf(resolve("v3", "h3"), resolve("v4", "h3"))
		late[0].Transfers[0].Kind, late[1].Transfers[0].Kind = Void, Void
		together(t, c, late)
		if late[0].err != nil || !errors.Is(late[1].err, ErrResolved) {
			t.Errorf("%v, %v", late[0].err, late[1].err)
		}
		if r, err := Check(t.Context(), db, nil); err != nil || r.OpenHolds != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestCommit_OneThatTheDatabaseRefusesIsAlone has the database refuse a row
// that was decided: the rest of the batch is committed without it.
func TestCommit_OneThatTheDatabaseRefusesIsAlone(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.Schemas{"ledger": Schema()})
	c := testCommitter(db)
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("CREATE TRIGGER no_b BEFORE INSERT ON ledger_transfers WHEN NEW.id = 'b' BEGIN SELECT RAISE(ABORT, 'not b'); END")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	batch := batchOf([]Transfer{pay("a", "world", "x", 1)}, []Transfer{pay("b", "world", "x", 1)}, []Transfer{pay("c", "world", "x", 1)})
	c.commit(t.Context(), batch)
	if batch[0].err != nil || batch[1].err == nil || batch[2].err != nil {
		t.Errorf("%v, %v, %v", batch[0].err, batch[1].err, batch[2].err)
	}
	if r, err := Check(t.Context(), db, nil); err != nil || r.Postings != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}
