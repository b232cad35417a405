package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// Reversal asks Reverse to take a transfer back.
type Reversal struct {
	// ID is the reversal's own, as in Transfer.
	ID string
	// Of is the id of the transfer to take back.
	Of string
	// Reference, EffectiveAt and Note are the reversal's own, as in Transfer.
	Reference   string
	EffectiveAt time.Time
	Note        string
}

// Reverse records a transfer with the opposite legs of one that was posted,
// naming it in Resolves. Nothing of the past changes; what it moved moves back,
// all of it, at most once, and only when the accounts allow it. It returns
// ErrUnknown, ErrNotReversible, ErrReversed or an error of Record.
func (b *Book) Reverse(tx *sqldb.Tx, at time.Time, r Reversal) (Recorded, error) {
	if err := tx.Lock(chainLock); err != nil {
		return Recorded{}, err
	}
	legs, err := opposite(tx, r.Of)
	if err != nil {
		return Recorded{}, err
	}
	var by string
	err = tx.QueryRow("SELECT id FROM ledger_transfers WHERE resolves = ? AND resolves <> ''", r.Of).Scan(&by)
	if err == nil {
		return Recorded{}, fmt.Errorf("%w: %s by %s", ErrReversed, r.Of, by)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return Recorded{}, fmt.Errorf("ledger: reverse: %w", err)
	}
	recorded, err := b.Record(tx, at, Transfer{
		ID: r.ID, Kind: Posted, Legs: legs, Resolves: r.Of, reverses: true,
		Reference: r.Reference, EffectiveAt: r.EffectiveAt, Note: r.Note,
	})
	if err != nil {
		return Recorded{}, err
	}
	return recorded[0], nil
}

// opposite returns the legs that take the transfer back.
func opposite(tx *sqldb.Tx, of string) ([]Leg, error) {
	var seq int64
	var kind Kind
	var resolves string
	err := tx.QueryRow("SELECT seq, kind, resolves FROM ledger_transfers WHERE id = ?", of).Scan(&seq, &kind, &resolves)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("%w: %s", ErrUnknown, of)
	case err != nil:
		return nil, fmt.Errorf("ledger: reverse: %w", err)
	case kind != Post && (kind != Posted || resolves != ""):
		return nil, fmt.Errorf("%w: %s", ErrNotReversible, of)
	}
	legs, err := readLegs(tx, seq)
	for i := range legs {
		legs[i].Amount = -legs[i].Amount
	}
	return legs, err
}
