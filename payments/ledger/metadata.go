package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// Bounds of an account's metadata, in bytes.
const (
	MetadataKeys  = 20
	MetadataKey   = 64
	MetadataValue = 500
)

// Profile is an account with what is known of it besides money.
type Profile struct {
	Account
	OpenedAt time.Time
	// Metadata is the app's own; never nil.
	Metadata map[string]string
}

// SetMetadata replaces what is written to an account besides money. The change
// is journaled, so that the chain covers it. Setting what is set already
// changes nothing.
func (b *Book) SetMetadata(tx *sqldb.Tx, at time.Time, id, currency string, metadata map[string]string) error {
	text, err := metadataText(metadata)
	if err != nil {
		return err
	}
	k := accountKey{id, currency}
	w, err := b.only(tx, at, k)
	if err != nil {
		return err
	}
	if w.book.accounts[k] == nil {
		return fmt.Errorf("%w: %s %s", ErrAccountUnknown, id, currency)
	}
	n, err := tx.Exec("UPDATE ledger_accounts SET metadata = ? WHERE id = ? AND currency = ? AND metadata <> ?", text, id, currency, text)
	if err != nil {
		return fmt.Errorf("ledger: metadata: %w", err)
	}
	if n == 0 {
		return nil
	}
	_, err = w.append(notesRow(k, w.seq+1, w.book.now, text))
	return err
}

// metadataText is metadata as it is stored and journaled: JSON, sorted by key.
func metadataText(metadata map[string]string) (string, error) {
	if len(metadata) > MetadataKeys {
		return "", fmt.Errorf("%w: metadata has %d keys, at most %d", ErrShape, len(metadata), MetadataKeys)
	}
	for k, v := range metadata {
		if k == "" || len(k) > MetadataKey || len(v) > MetadataValue || !storable(k) || !storable(v) {
			return "", fmt.Errorf("%w: metadata %.64q: key of 1 to %d bytes, value of up to %d, UTF-8", ErrShape, k, MetadataKey, MetadataValue)
		}
	}
	if metadata == nil {
		metadata = map[string]string{}
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		return "", fmt.Errorf("ledger: metadata: %w", err)
	}
	return string(text), nil
}

// notesRow is the row that journals an account's metadata.
func notesRow(k accountKey, seq, at int64, text string) *row {
	return &row{id: fmt.Sprintf("%s:%s/%s/%d", notesKind, k.id, k.currency, seq), kind: notesKind, effectiveAt: at, recordedAt: at, note: text}
}

// Selection narrows a list of accounts; empty fields do not.
type Selection struct {
	ID, Kind, Currency string
}

const profileColumns = "SELECT id, currency, kind, may_go_negative, ceiling, closed, posted, pending_out, pending_in, opened_at, metadata FROM ledger_accounts"

// Profiles returns up to limit accounts behind (afterID, afterCurrency) in the order of id and currency.
func Profiles(tx *sqldb.Tx, only Selection, afterID, afterCurrency string, limit int) ([]Profile, error) {
	where, args := " WHERE (id, currency) > (?, ?)", []any{afterID, afterCurrency}
	for _, f := range [...]struct{ column, value string }{{"id", only.ID}, {"kind", only.Kind}, {"currency", only.Currency}} {
		if f.value != "" {
			where += " AND " + f.column + " = ?"
			args = append(args, f.value)
		}
	}
	rows, err := tx.Query(profileColumns+where+" ORDER BY id, currency LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read accounts: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	profiles := []Profile{}
	for rows.Next() {
		var p Profile
		var negative, closed, opened int64
		var metadata string
		if err := rows.Scan(&p.ID, &p.Currency, &p.Kind, &negative, &p.Ceiling, &closed, &p.Posted, &p.PendingOut, &p.PendingIn, &opened, &metadata); err != nil {
			return nil, fmt.Errorf("ledger: read accounts: %w", err)
		}
		p.MayGoNegative, p.Closed, p.OpenedAt = negative != 0, closed != 0, fromMillis(opened)
		if err := json.Unmarshal([]byte(metadata), &p.Metadata); err != nil || p.Metadata == nil {
			return nil, &Fault{0, "account " + p.ID + " " + p.Currency, "metadata is not a JSON object of strings"}
		}
		profiles = append(profiles, p)
	}
	return profiles, rows.Err()
}

// ProfileOf returns one account, or ErrAccountUnknown.
func ProfileOf(tx *sqldb.Tx, id, currency string) (Profile, error) {
	found, err := Profiles(tx, Selection{ID: id, Currency: currency}, "", "", 1)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s %s", ErrAccountUnknown, id, currency)
	}
	if err != nil {
		return Profile{}, err
	}
	return found[0], nil
}
