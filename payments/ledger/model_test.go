package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

// model is the ledger as a child would write it: maps, and a copy before each
// try that is put back when the try fails.
type model struct {
	posted, out map[string]int64
	holds       map[string][]ledger.Leg
}

func (m *model) copy() *model {
	return &model{maps.Clone(m.posted), maps.Clone(m.out), maps.Clone(m.holds)}
}

func (m *model) try(t ledger.Transfer, open bool) bool {
	legs := t.Legs
	if t.Kind == ledger.Post || t.Kind == ledger.Void {
		held, ok := m.holds[t.Resolves]
		if !ok {
			return false
		}
		delete(m.holds, t.Resolves)
		for _, l := range held {
			if l.Amount < 0 {
				m.out[l.Account] += l.Amount
			}
		}
		if t.Kind == ledger.Post && legs == nil {
			legs = held
		}
	}
	for _, l := range legs {
		switch {
		case t.Kind != ledger.Pending:
			m.posted[l.Account] += l.Amount
		case l.Amount < 0:
			m.out[l.Account] -= l.Amount
		}
		if l.Account != "world" && m.posted[l.Account]-m.out[l.Account] < 0 {
			return false
		}
	}
	if t.Kind == ledger.Pending && open {
		m.holds[t.ID] = legs
	}
	return true
}

// TestLedger_AgreesWithANaiveModel plays random groups of linked transfers on
// the ledger and on the model: same refusals, same balances, and Check is content.
func TestLedger_AgreesWithANaiveModel(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		agree(t, db, func(group ...ledger.Transfer) error { return record(t, db, group...) })
	})
}

// TestCommitter_AgreesWithANaiveModel does the same through a committer.
func TestCommitter_AgreesWithANaiveModel(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		c := committing(t, db)
		agree(t, db, func(group ...ledger.Transfer) error {
			_, err := c.Submit(t.Context(), group...)
			return err
		})
	})
}

func agree(t *testing.T, db *sqldb.DB, record func(...ledger.Transfer) error) {
	m := &model{map[string]int64{}, map[string]int64{}, map[string][]ledger.Leg{}}
	var known []string // ids of all pending transfers that ever were
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 12).Draw(rt, "groups") {
			group := make([]ledger.Transfer, rapid.IntRange(1, 3).Draw(rt, "linked"))
			for i := range group {
				group[i] = anyTransfer(rt, known)
			}
			next := m.copy()
			want := true
			for _, tr := range group {
				want = want && next.try(tr, true)
			}
			err := record(group...)
			if (err == nil) != want {
				rt.Fatalf("%+v: ledger says %v, model %t", group, err, want)
			}
			if err == nil {
				m = next
				for _, tr := range group {
					if tr.Kind == ledger.Pending {
						known = append(known, tr.ID)
					}
				}
			} else if !errors.Is(err, ledger.ErrInsufficient) && !errors.Is(err, ledger.ErrResolved) && !errors.Is(err, ledger.ErrPendingUnknown) {
				rt.Fatalf("%+v: %v", group, err)
			}
			compare(rt, t, db, m)
		}
	})
	if r := check(t, db); r.OpenHolds != int64(len(m.holds)) {
		t.Errorf("%d open holds, model has %d", r.OpenHolds, len(m.holds))
	}
}

func anyTransfer(rt *rapid.T, known []string) ledger.Transfer {
	tr := ledger.Transfer{ID: id(), Kind: rapid.SampledFrom([]ledger.Kind{ledger.Posted, ledger.Posted, ledger.Pending, ledger.Post, ledger.Void}).Draw(rt, "kind")}
	if tr.Kind == ledger.Post || tr.Kind == ledger.Void {
		tr.Resolves = rapid.SampledFrom(append(known[max(0, len(known)-6):], "none")).Draw(rt, "resolves")
		return tr
	}
	names := rapid.Permutation([]string{"world", "a", "b", "c"}).Draw(rt, "accounts")
	n, k := rapid.Int64Range(1, 60).Draw(rt, "amount"), rapid.Int64Range(1, 60).Draw(rt, "more")
	tr.Legs = []ledger.Leg{eur(names[0], -n-k), eur(names[1], n), eur(names[2], k)}
	return tr
}

func compare(rt *rapid.T, t *testing.T, db *sqldb.DB, m *model) {
	var sum int64
	for _, name := range []string{"world", "a", "b", "c"} {
		a := balance(t, db, name)
		sum += a.Posted
		if a.Posted != m.posted[name] || a.PendingOut != m.out[name] {
			rt.Fatal(fmt.Sprintf("%s is %+v, model says %d and %d", name, a, m.posted[name], m.out[name]))
		}
	}
	if sum != 0 {
		rt.Fatalf("balances sum to %d", sum)
	}
}
