package ledger

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"parley/internal/sqldb"
)

// Format of an export.
type Format string

// The formats. JSONLines has one row of the journal on each line; CSV one
// posting, and one line for a row without postings, under a heading.
const (
	JSONLines Format = "jsonl"
	CSV       Format = "csv"
)

// Extract says which part of the journal to export; the zero value is all of it.
type Extract struct {
	// Account, and Currency of it if not empty: rows that have a leg on it. A
	// void has no legs, so that it is in the export of the whole journal only.
	Account, Currency string
	Period            Period
}

// Export writes a part of the journal to w, oldest first, with everything that
// the hash of a row covers, and returns how many rows it wrote. It streams in
// pages and may run beside writers; a whole journal ends with the row that was
// the newest when it began.
func Export(ctx context.Context, db *sqldb.DB, w io.Writer, f Format, x Extract) (rows int64, err error) {
	buffered := bufio.NewWriter(w)
	write, err := newRowWriter(buffered, f)
	if err != nil {
		return 0, err
	}
	q := pageQuery{account: x.Account, currency: x.Currency}
	if err := db.View(ctx, func(tx *sqldb.Tx) (err error) {
		var last int64
		if q.after, last, err = x.Period.rows(tx); err != nil {
			return err
		}
		head, err := Head(tx)
		q.last = min(last, head.Seq)
		return err
	}); err != nil {
		return 0, err
	}
	for done := q.last <= q.after; !done; {
		var page []storedRow
		err := db.View(ctx, func(tx *sqldb.Tx) (err error) {
			page, err = readPage(tx, q)
			return err
		})
		if err != nil {
			return rows, err
		}
		for i := range page {
			if err := write(&page[i]); err != nil {
				return rows, fmt.Errorf("ledger: export: %w", err)
			}
			q.after = page[i].seq
			rows++
		}
		done = len(page) < pageMax
	}
	if err := buffered.Flush(); err != nil {
		return rows, fmt.Errorf("ledger: export: %w", err)
	}
	return rows, nil
}

// exportedRow is a row of the journal as JSON lines have it.
type exportedRow struct {
	Seq         int64             `json:"seq"`
	ID          string            `json:"id"`
	Kind        Kind              `json:"kind"`
	Resolves    string            `json:"resolves,omitempty"`
	Reference   string            `json:"reference,omitempty"`
	EffectiveAt time.Time         `json:"effective_at"`
	RecordedAt  time.Time         `json:"recorded_at"`
	ExpiresAt   time.Time         `json:"expires_at,omitzero"`
	Note        string            `json:"note,omitempty"`
	Hash        string            `json:"hash"`
	Postings    []exportedPosting `json:"postings"`
}

type exportedPosting struct {
	Posting
	Balance int64 `json:"balance"` // posted, after it
}

var csvHeading = []string{"seq", "id", "kind", "resolves", "reference", "effective_at", "recorded_at", "expires_at", "note", "hash",
	"leg", "account", "currency", "amount", "balance"}

func newRowWriter(w io.Writer, f Format) (func(*storedRow) error, error) {
	switch f {
	case JSONLines:
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return func(r *storedRow) error { return e.Encode(r.export()) }, nil
	case CSV:
		c := csv.NewWriter(w)
		if err := c.WriteAll([][]string{csvHeading}); err != nil {
			return nil, fmt.Errorf("ledger: export: %w", err)
		}
		return func(r *storedRow) error {
			return c.WriteAll(r.records()) // flushes into w
		}, nil
	}
	return nil, fmt.Errorf("ledger: export: no format %q; there are %s and %s", f, JSONLines, CSV)
}

func (r *storedRow) export() exportedRow {
	e := exportedRow{Seq: r.seq, ID: r.id, Kind: r.kind, Resolves: r.resolves, Reference: r.reference, EffectiveAt: fromMillis(r.effectiveAt),
		RecordedAt: fromMillis(r.recordedAt), ExpiresAt: fromMillis(r.expiresAt), Note: r.note, Hash: r.hash, Postings: make([]exportedPosting, len(r.postings))}
	for i, p := range r.postings {
		e.Postings[i] = exportedPosting{Posting(p.Leg), p.balance}
	}
	return e
}

// records are the lines of a row in CSV.
func (r *storedRow) records() [][]string {
	head := []string{strconv.FormatInt(r.seq, 10), r.id, string(r.kind), r.resolves, r.reference,
		csvTime(r.effectiveAt), csvTime(r.recordedAt), csvTime(r.expiresAt), r.note, r.hash}
	if len(r.postings) == 0 {
		return [][]string{append(head, "", "", "", "", "")}
	}
	lines := make([][]string, len(r.postings))
	for i, p := range r.postings {
		lines[i] = append(head[:len(head):len(head)], strconv.Itoa(i), p.Account, p.Currency, strconv.FormatInt(p.Amount, 10), strconv.FormatInt(p.balance, 10))
	}
	return lines
}

func csvTime(ms int64) string {
	if ms == 0 {
		return ""
	}
	return fromMillis(ms).Format("2006-01-02T15:04:05.000Z")
}
