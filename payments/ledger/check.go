package ledger

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"parley/internal/sqldb"
)

// Fault is the first thing that Check found wrong.
type Fault struct {
	// Seq of the journal row, 0 when the fault is in an account or hold.
	Seq int64
	// What names the row: a transfer's id, "account id currency", or "hold id".
	What string
	// Why says what does not hold.
	Why string
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Seq == 0 {
		return fmt.Sprintf("ledger check: %s: %s", f.What, f.Why)
	}
	return fmt.Sprintf("ledger check: row %d (%s): %s", f.Seq, f.What, f.Why)
}

// Report is what Check has read.
type Report struct {
	Rows      int64 // of the journal: transfers, openings and closings
	Postings  int64
	Accounts  int64
	OpenHolds int64
	// Head is the hash of the last row, hex; compare it with one kept outside.
	Head string
}

// Check replays the journal from its first row and compares what it finds with
// the stored balances and holds: sequence without holes, hash chain unbroken,
// every transfer balanced, no account outside its terms at any step, every hold
// resolved at most once, every reversal the opposite of what it names, balances
// equal to postings. It streams in pages and may run beside writers; what it
// keeps in memory grows with accounts and open holds, not with the journal.
// progress, if not nil, hears of rows done and the total as first seen. A
// *Fault names the first bad row.
func Check(ctx context.Context, db *sqldb.DB, progress func(done, total int64)) (Report, error) {
	c := checker{accounts: map[accountKey]*Account{}, facts: map[accountKey]facts{}, holds: map[string]hold{}, holdRows: map[string]int64{}}
	var total int64
	for last := false; !last; {
		if err := ctx.Err(); err != nil {
			return c.report, err
		}
		err := db.View(ctx, func(tx *sqldb.Tx) error {
			if total == 0 {
				if err := tx.QueryRow("SELECT COALESCE(MAX(seq), 0) FROM ledger_transfers").Scan(&total); err != nil {
					return fmt.Errorf("ledger check: %w", err)
				}
			}
			rows, err := readPage(tx, pageQuery{after: c.seq})
			if err != nil {
				return err
			}
			for i := range rows {
				if err := c.step(tx, &rows[i]); err != nil {
					return err
				}
			}
			if last = len(rows) < pageMax; last {
				return c.compare(tx) // same snapshot as the last page
			}
			return nil
		})
		if err != nil {
			return c.report, err
		}
		if progress != nil {
			progress(c.seq, max(total, c.seq))
		}
	}
	c.report.Head = hex.EncodeToString(c.head[:])
	return c.report, nil
}

// checker is the ledger as the journal says it should be.
type checker struct {
	accounts map[accountKey]*Account
	facts    map[accountKey]facts
	holds    map[string]hold
	holdRows map[string]int64 // where each open hold stands
	seq      int64
	head     [32]byte
	report   Report
}

// facts are what the journal says of an account besides its balances.
type facts struct {
	openedAt int64
	metadata string
}

// step replays one row.
func (c *checker) step(tx *sqldb.Tx, r *storedRow) error {
	fault := func(format string, args ...any) error { return &Fault{r.seq, r.id, fmt.Sprintf(format, args...)} }
	if r.seq != c.seq+1 {
		return fault("sequence jumps from %d to %d", c.seq, r.seq)
	}
	hash := r.link(c.head)
	if hex.EncodeToString(hash[:]) != r.hash {
		return fault("hash chain broken: row or predecessor was changed")
	}
	if err := c.replay(&r.row); err != nil {
		return fault("%v", err)
	}
	if r.kind == Posted && r.resolves != "" {
		if err := checkReversal(tx, &r.row); err != nil {
			return fault("%v", err)
		}
	}
	c.seq, c.head = r.seq, hash
	c.report.Rows++
	c.report.Postings += int64(len(r.postings))
	return nil
}

// replay decides the row again on what the rows before it led to.
func (c *checker) replay(r *row) error {
	switch r.kind {
	case openKind, closeKind:
		return c.replayAccount(r)
	case notesKind:
		return c.replayNotes(r)
	}
	t := Transfer{ID: r.id, Kind: r.kind, Resolves: r.resolves, Reference: r.reference, ExpiresAt: fromMillis(r.expiresAt), Note: r.note}
	t.reverses = r.kind == Posted && r.resolves != ""
	for _, p := range r.postings {
		t.Legs = append(t.Legs, p.Leg)
	}
	if err := checkShape(&t); err != nil {
		return err
	}
	b := book{accounts: c.accounts, holds: c.holds, now: r.recordedAt}
	postings, err := b.apply(&t)
	if err != nil {
		return err
	}
	switch r.kind {
	case Pending:
		c.holds[r.id], c.holdRows[r.id] = hold{t.Legs, r.expiresAt}, r.seq
	case Post, Void:
		delete(c.holdRows, r.resolves) // apply has taken it out of holds
	}
	if !slices.Equal(postings, r.postings) {
		return fmt.Errorf("balances after the transfer are %v, want %v", r.postings, postings)
	}
	return nil
}

func (c *checker) replayAccount(r *row) error {
	_, name, _ := strings.Cut(r.id, ":")
	id, currency, ok := cutLast(name, "/")
	if !ok || len(r.postings) != 0 {
		return fmt.Errorf("not an account's row")
	}
	k := accountKey{id, currency}
	a := c.accounts[k]
	if r.kind == closeKind {
		if a == nil || a.Closed {
			return fmt.Errorf("closes an account that is not open")
		}
		a.Closed = true
		return nil
	}
	if a != nil {
		return fmt.Errorf("opens an account a second time")
	}
	a = &Account{ID: id, Currency: currency}
	if _, err := fmt.Sscanf(r.note, "currency="+currency+" kind=%s may_go_negative=%t ceiling=%d", &a.Kind, &a.MayGoNegative, &a.Ceiling); err != nil {
		return fmt.Errorf("terms %q: %w", r.note, err)
	}
	c.accounts[k], c.facts[k] = a, facts{openedAt: r.recordedAt, metadata: "{}"}
	return nil
}

// replayNotes takes over an account's metadata.
func (c *checker) replayNotes(r *row) error {
	name, _, _ := cutLast(strings.TrimPrefix(r.id, string(notesKind)+":"), "/") // its own sequence number is behind
	id, currency, ok := cutLast(name, "/")
	k := accountKey{id, currency}
	f, known := c.facts[k]
	if !ok || !known || len(r.postings) != 0 || r.id != notesRow(k, r.seq, r.recordedAt, r.note).id {
		return fmt.Errorf("not the metadata of an account that is open")
	}
	f.metadata = r.note
	c.facts[k] = f
	return nil
}

// checkReversal reports whether r takes back exactly what it names, and nothing else does.
func checkReversal(tx *sqldb.Tx, r *row) error {
	want, err := opposite(tx, r.resolves)
	if err != nil {
		return err
	}
	got := make([]Leg, len(r.postings))
	for i, p := range r.postings {
		got[i] = p.Leg
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("reverses %s but is not its opposite", r.resolves)
	}
	var n int
	if err := tx.QueryRow("SELECT COUNT(*) FROM ledger_transfers WHERE resolves = ? AND resolves <> ''", r.resolves).Scan(&n); err != nil {
		return fmt.Errorf("ledger check: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("%s is reversed %d times", r.resolves, n)
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// compare holds the stored accounts and open holds against the replayed ones.
func (c *checker) compare(tx *sqldb.Tx) error {
	if err := c.compareAccounts(tx); err != nil {
		return err
	}
	if err := c.compareHolds(tx); err != nil {
		return err
	}
	var orphans int64
	if err := tx.QueryRow("SELECT COUNT(*) FROM ledger_postings WHERE seq > ? OR seq < 1", c.seq).Scan(&orphans); err != nil {
		return fmt.Errorf("ledger check: %w", err)
	}
	if orphans != 0 {
		return &Fault{c.seq + 1, "posting", "belongs to no transfer"}
	}
	return nil
}

func (c *checker) compareAccounts(tx *sqldb.Tx) error {
	sums := map[string]*big.Int{}
	var id, currency string
	for {
		page, err := Profiles(tx, Selection{}, id, currency, pageMax)
		if err != nil {
			return err
		}
		for _, p := range page {
			id, currency = p.ID, p.Currency
			if err := c.compareAccount(p); err != nil {
				return err
			}
			if sums[currency] == nil {
				sums[currency] = new(big.Int)
			}
			sums[currency].Add(sums[currency], big.NewInt(p.Posted))
		}
		if len(page) < pageMax {
			break
		}
	}
	for k := range c.accounts {
		return &Fault{0, "account " + k.id + " " + k.currency, "is missing"}
	}
	for _, cur := range slices.Sorted(maps.Keys(sums)) {
		if sums[cur].Sign() != 0 {
			return &Fault{0, "currency " + cur, "balances sum to " + sums[cur].String()}
		}
	}
	return nil
}

// compareAccount holds one stored account against the replayed one and ticks it off.
func (c *checker) compareAccount(p Profile) error {
	k := accountKey{p.ID, p.Currency}
	fault := func(format string, args ...any) error {
		return &Fault{0, "account " + k.id + " " + k.currency, fmt.Sprintf(format, args...)}
	}
	want, f := c.accounts[k], c.facts[k]
	if want == nil {
		return fault("no row of the journal opens it")
	}
	if *want != p.Account {
		return fault("is %+v, its postings say %+v", p.Account, *want)
	}
	if millis(p.OpenedAt) != f.openedAt {
		return fault("says that it was opened at %s, the journal says %s", p.OpenedAt, fromMillis(f.openedAt))
	}
	if text, err := metadataText(p.Metadata); err != nil || text != f.metadata {
		return fault("its metadata is not what the journal says")
	}
	delete(c.accounts, k)
	c.report.Accounts++
	return nil
}

func (c *checker) compareHolds(tx *sqldb.Tx) error {
	rows, err := tx.Query("SELECT id, seq, expires_at FROM ledger_holds ORDER BY id")
	if err != nil {
		return fmt.Errorf("ledger check: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var id string
		var seq, expires int64
		if err := rows.Scan(&id, &seq, &expires); err != nil {
			return fmt.Errorf("ledger check: %w", err)
		}
		h, ok := c.holds[id]
		if !ok || h.expiresAt != expires || c.holdRows[id] != seq {
			return &Fault{0, "hold " + id, "is not an open pending transfer of the journal"}
		}
		delete(c.holds, id)
		c.report.OpenHolds++
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger check: %w", err)
	}
	for id := range c.holds {
		return &Fault{0, "hold " + id, "is pending in the journal but not listed as open"}
	}
	return nil
}
