package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"parley/internal/sqldb"
)

// Line is one posting of an account's statement.
type Line struct {
	Seq         int64     `json:"seq"`
	Transfer    string    `json:"transfer"`
	Kind        Kind      `json:"kind" enum:"posted,pending,post"`
	Reference   string    `json:"reference,omitempty"`
	Note        string    `json:"note,omitempty"`
	Amount      int64     `json:"amount" doc:"minor units; negative leaves the account"`
	Balance     int64     `json:"balance" doc:"posted, after this line"`
	EffectiveAt time.Time `json:"effective_at"`
	RecordedAt  time.Time `json:"recorded_at"`
}

// Period is a part of the journal by the time of recording, From included and
// Until not; zero times do not bound it.
type Period struct {
	From, Until time.Time
}

// Statement returns up to limit lines of an account recorded in a period,
// newest first, before the line with this sequence number; 0 begins at the
// newest. The next page begins before the last line's Seq. Lines of kind
// Pending have not changed the balance.
func Statement(tx *sqldb.Tx, id, currency string, in Period, before int64, limit int) ([]Line, error) {
	after, last, err := in.rows(tx)
	if err != nil {
		return nil, err
	}
	if before > 0 {
		last = min(last, before-1)
	}
	rows, err := tx.Query("SELECT t.seq, t.id, t.kind, t.reference, t.note, p.amount, p.balance, t.effective_at, t.recorded_at"+
		" FROM ledger_postings p JOIN ledger_transfers t ON t.seq = p.seq"+
		" WHERE p.account = ? AND p.currency = ? AND p.seq > ? AND p.seq <= ? ORDER BY p.seq DESC LIMIT ?", id, currency, after, last, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: statement: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	lines := []Line{}
	for rows.Next() {
		var l Line
		var effective, recorded int64
		if err := rows.Scan(&l.Seq, &l.Transfer, &l.Kind, &l.Reference, &l.Note, &l.Amount, &l.Balance, &effective, &recorded); err != nil {
			return nil, fmt.Errorf("ledger: statement: %w", err)
		}
		l.EffectiveAt, l.RecordedAt = fromMillis(effective), fromMillis(recorded)
		lines = append(lines, l)
	}
	return lines, rows.Err()
}

// rows returns the period as sequence numbers: behind after, up to last.
func (p Period) rows(tx *sqldb.Tx) (after, last int64, err error) {
	last = math.MaxInt64
	if !p.From.IsZero() {
		if after, err = lastAt(tx, p.From.Add(-time.Millisecond)); err != nil {
			return 0, 0, err
		}
	}
	if !p.Until.IsZero() {
		last, err = lastAt(tx, p.Until.Add(-time.Millisecond))
	}
	return after, last, err
}

// lastAt returns the newest row recorded at or before at, or 0. Rows have
// numbers without holes in the order of recording, so it halves the journal
// until it finds the place. Nodes whose clocks differ may have recorded a few
// rows out of the order of time; those count where they stand.
func lastAt(tx *sqldb.Tx, at time.Time) (int64, error) {
	var low, high int64 // low is at or before, high + 1 is behind
	if err := tx.QueryRow("SELECT COALESCE(MAX(seq), 0) FROM ledger_transfers").Scan(&high); err != nil {
		return 0, fmt.Errorf("ledger: find a time: %w", err)
	}
	for low < high {
		middle := low + (high-low+1)/2
		var recorded int64
		if err := tx.QueryRow("SELECT recorded_at FROM ledger_transfers WHERE seq = ?", middle).Scan(&recorded); err != nil {
			return 0, fmt.Errorf("ledger: find a time: row %d: %w", middle, err)
		}
		if recorded <= at.UnixMilli() {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, nil
}

// Past is what an account had at a time.
type Past struct {
	Posted                int64
	PendingOut, PendingIn int64
}

// RecordedAsOf returns what an account had once everything recorded at or
// before at was in the journal: what a statement of that moment showed.
func RecordedAsOf(tx *sqldb.Tx, id, currency string, at time.Time) (Past, error) {
	seq, err := lastAt(tx, at)
	if err != nil {
		return Past{}, err
	}
	var p Past
	if p.Posted, err = postedAt(tx, id, currency, seq); err != nil {
		return Past{}, err
	}
	err = tx.QueryRow("SELECT CAST(COALESCE(SUM(CASE WHEN p.amount < 0 THEN -p.amount ELSE 0 END), 0) AS BIGINT),"+
		" CAST(COALESCE(SUM(CASE WHEN p.amount > 0 THEN p.amount ELSE 0 END), 0) AS BIGINT)"+
		" FROM ledger_postings p JOIN ledger_transfers t ON t.seq = p.seq"+
		" LEFT JOIN ledger_transfers r ON r.resolves = t.id AND r.resolves <> ''"+
		" WHERE p.account = ? AND p.currency = ? AND p.seq <= ? AND t.kind = 'pending' AND (r.seq IS NULL OR r.seq > ?)",
		id, currency, seq, seq).Scan(&p.PendingOut, &p.PendingIn)
	if err != nil {
		return Past{}, fmt.Errorf("ledger: as of: %w", err)
	}
	return p, nil
}

// postedAt returns an account's posted balance after the row seq.
func postedAt(tx *sqldb.Tx, id, currency string, seq int64) (posted int64, err error) {
	err = tx.QueryRow("SELECT balance FROM ledger_postings WHERE account = ? AND currency = ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
		id, currency, seq).Scan(&posted)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("ledger: as of: %w", err)
	}
	return posted, nil
}

// EffectiveAsOf returns what an account had posted by everything that counts
// from at or before at, whenever it was recorded. It starts from what was
// recorded by then and corrects it by the transfers that count at another time
// than they were recorded at.
func EffectiveAsOf(tx *sqldb.Tx, id, currency string, at time.Time) (int64, error) {
	seq, err := lastAt(tx, at)
	if err != nil {
		return 0, err
	}
	posted, err := postedAt(tx, id, currency, seq)
	if err != nil {
		return 0, err
	}
	var correction int64
	ms := at.UnixMilli()
	err = tx.QueryRow("SELECT CAST(COALESCE(SUM(CASE WHEN t.seq > ? THEN p.amount ELSE -p.amount END), 0) AS BIGINT)"+
		" FROM ledger_transfers t JOIN ledger_postings p ON p.seq = t.seq"+
		" WHERE p.account = ? AND p.currency = ? AND t.kind <> 'pending' AND t.effective_at <> t.recorded_at"+
		" AND ((t.seq > ? AND t.effective_at <= ?) OR (t.seq <= ? AND t.effective_at > ?))",
		seq, id, currency, seq, ms, seq, ms).Scan(&correction)
	if err != nil {
		return 0, fmt.Errorf("ledger: as of: %w", err)
	}
	return posted + correction, nil
}
