package safety_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/safety"
)

func TestBlocks_KeepOutWhomTheyNameAndNobodyElse(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"safety": safety.Schema()}, func(t *testing.T, db *sqldb.DB) {
		b := safety.NewBlocks(db, clock.System{})
		first, err := b.Block(t.Context(), "lea", "noah")
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.Block(t.Context(), "lea", "noah")
		if err != nil || again != first {
			t.Fatalf("blocked again: %v %v, first %v", again, err, first)
		}
		for _, c := range []struct {
			user, other string
			want        bool
		}{{"lea", "noah", true}, {"noah", "lea", false}, {"lea", "mira", false}, {"mira", "noah", false}} {
			if got, err := b.Blocked(t.Context(), c.user, c.other); err != nil || got != c.want {
				t.Errorf("%s blocked %s: %v %v", c.user, c.other, got, err)
			}
		}
		if err := b.Unblock(t.Context(), "lea", "noah"); err != nil {
			t.Fatal(err)
		}
		if err := b.Unblock(t.Context(), "lea", "noah"); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Blocked(t.Context(), "lea", "noah"); err != nil || got {
			t.Errorf("still blocked: %v", err)
		}
		if _, err := b.Block(t.Context(), "lea", "lea"); !errors.Is(err, safety.ErrBlockSelf) {
			t.Errorf("lea blocks lea: %v", err)
		}
	})
}

func TestBlocks_ListInPages(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"safety": safety.Schema()}, func(t *testing.T, db *sqldb.DB) {
		b := safety.NewBlocks(db, clock.System{})
		var wg sync.WaitGroup
		for _, other := range []string{"a", "b", "c", "d", "e"} {
			wg.Go(func() {
				if _, err := b.Block(t.Context(), "lea", other); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, err := b.Block(t.Context(), "mira", "x"); err != nil {
			t.Fatal(err)
		}
		var got []string
		for cursor, pages := "", 0; ; pages++ {
			list, next, err := b.List(t.Context(), "lea", cursor, 2)
			if err != nil || pages > 3 {
				t.Fatal(err, pages)
			}
			for _, one := range list {
				got = append(got, one.User)
			}
			if cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
			t.Errorf("listed %v", got)
		}
	})
}
