package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

// TestCheck_NamesWhatAForgerChainedProperly records what Reverse and
// SetMetadata never would, hashes and all, and expects Check to see through it.
func TestCheck_NamesWhatAForgerChainedProperly(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := New(func(id string) (Terms, bool) { return Terms{Kind: "user", MayGoNegative: id == "world"}, true })
	legs := func(amount int64) []Leg { return []Leg{{"world", "EUR", -amount}, {"a", "EUR", amount}} }
	for name, c := range map[string]struct {
		forge func(tx *sqldb.Tx) error
		why   string
	}{
		"a reversal of another amount": {func(tx *sqldb.Tx) error {
			_, err := b.Record(tx, at, Transfer{ID: "forged", Legs: legs(-4), Resolves: "paid", reverses: true})
			return err
		}, "not its opposite"},
		"a reversal of nothing": {func(tx *sqldb.Tx) error {
			_, err := b.Record(tx, at, Transfer{ID: "forged", Legs: legs(-4), Resolves: "never", reverses: true})
			return err
		}, "transfer unknown"},
		"metadata of no account": {func(tx *sqldb.Tx) error {
			w, err := b.only(tx, at, accountKey{"ghost", "EUR"})
			if err == nil {
				_, err = w.append(notesRow(accountKey{"ghost", "EUR"}, w.seq+1, at.UnixMilli(), "{}"))
			}
			return err
		}, "not the metadata"},
		"metadata that never reached its account": {func(tx *sqldb.Tx) error {
			w, err := b.only(tx, at, accountKey{"a", "EUR"})
			if err == nil {
				_, err = w.append(notesRow(accountKey{"a", "EUR"}, w.seq+1, at.UnixMilli(), `{"tier":"gold"}`))
			}
			return err
		}, "account a EUR: its metadata"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			sqldbtest.Each(t, sqldbtest.Schemas{"ledger": Schema()}, func(t *testing.T, db *sqldb.DB) {
				err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					_, err := b.Record(tx, at, Transfer{ID: "paid", Legs: legs(5)})
					return errors.Join(err, c.forge(tx))
				})
				if err != nil {
					t.Fatal(err)
				}
				_, err = Check(t.Context(), db, nil)
				var fault *Fault
				if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.why) {
					t.Errorf("found %v, want %q", err, c.why)
				}
			})
		})
	}
}
