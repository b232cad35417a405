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

// checkPage bounds the rows read in one View, so that a check of a large
// ledger does not hold a snapshot open.
const checkPage = 2000

// Check replays the journal from its first row and compares what it finds with
// the stored balances and holds: sequence without holes, hash chain unbroken,
// every transfer balanced, no account outside its terms at any step, every hold
// resolved at most once, balances equal to postings. It streams in pages and
// may run beside writers; progress, if not nil, hears of rows done and the
// total as first seen. A *Fault names the first bad row.
func Check(ctx context.Context, db *sqldb.DB, progress func(done, total int64)) (Report, error) {
	c := checker{accounts: map[accountKey]*Account{}, holds: map[string]hold{}}
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
			rows, err := readPage(tx, c.seq)
			if err != nil {
				return err
			}
			for i := range rows {
				if err := c.step(&rows[i]); err != nil {
					return err
				}
			}
			if last = len(rows) < checkPage; last {
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
	holds    map[string]hold
	seq      int64
	head     [32]byte
	report   Report
}

// storedRow is a row with the hash kept beside it.
type storedRow struct {
	row
	hash string
}

func readPage(tx *sqldb.Tx, after int64) ([]storedRow, error) {
	page, err := readRows(tx, after)
	if err != nil || len(page) == 0 {
		return page, err
	}
	rows, err := tx.Query("SELECT seq, account, currency, amount, balance FROM ledger_postings WHERE seq > ? AND seq <= ? ORDER BY seq, leg",
		after, page[len(page)-1].seq)
	if err != nil {
		return nil, fmt.Errorf("ledger check: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	i := 0
	for rows.Next() {
		var seq int64
		var p posting
		if err := rows.Scan(&seq, &p.Account, &p.Currency, &p.Amount, &p.balance); err != nil {
			return nil, fmt.Errorf("ledger check: %w", err)
		}
		for i < len(page)-1 && page[i].seq < seq {
			i++
		}
		if page[i].seq != seq {
			return nil, &Fault{seq, "posting", "belongs to no transfer"}
		}
		page[i].postings = append(page[i].postings, p)
	}
	return page, rows.Err()
}

func readRows(tx *sqldb.Tx, after int64) ([]storedRow, error) {
	rows, err := tx.Query("SELECT seq, id, kind, resolves, reference, effective_at, recorded_at, expires_at, note, hash"+
		" FROM ledger_transfers WHERE seq > ? ORDER BY seq LIMIT ?", after, checkPage)
	if err != nil {
		return nil, fmt.Errorf("ledger check: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var page []storedRow
	for rows.Next() {
		var r storedRow
		if err := rows.Scan(&r.seq, &r.id, &r.kind, &r.resolves, &r.reference, &r.effectiveAt, &r.recordedAt, &r.expiresAt, &r.note, &r.hash); err != nil {
			return nil, fmt.Errorf("ledger check: %w", err)
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

// step replays one row.
func (c *checker) step(r *storedRow) error {
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
	c.seq, c.head = r.seq, hash
	c.report.Rows++
	c.report.Postings += int64(len(r.postings))
	return nil
}

// replay decides the row again on what the rows before it led to.
func (c *checker) replay(r *row) error {
	if r.kind == openKind || r.kind == closeKind {
		return c.replayAccount(r)
	}
	t := Transfer{ID: r.id, Kind: r.kind, Resolves: r.resolves, Reference: r.reference, ExpiresAt: fromMillis(r.expiresAt), Note: r.note}
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
	if r.kind == Pending {
		c.holds[r.id] = hold{t.Legs, r.expiresAt}
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
	c.accounts[k] = a
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
		page, err := Accounts(tx, id, currency, checkPage)
		if err != nil {
			return err
		}
		for _, a := range page {
			id, currency = a.ID, a.Currency
			k := accountKey{id, currency}
			want := c.accounts[k]
			if want == nil {
				return &Fault{0, "account " + id + " " + currency, "no row of the journal opens it"}
			}
			if *want != a {
				return &Fault{0, "account " + id + " " + currency, fmt.Sprintf("is %+v, its postings say %+v", a, *want)}
			}
			delete(c.accounts, k)
			c.report.Accounts++
			if sums[currency] == nil {
				sums[currency] = new(big.Int)
			}
			sums[currency].Add(sums[currency], big.NewInt(a.Posted))
		}
		if len(page) < checkPage {
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

func (c *checker) compareHolds(tx *sqldb.Tx) error {
	rows, err := tx.Query("SELECT id, expires_at FROM ledger_holds ORDER BY id")
	if err != nil {
		return fmt.Errorf("ledger check: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var id string
		var expires int64
		if err := rows.Scan(&id, &expires); err != nil {
			return fmt.Errorf("ledger check: %w", err)
		}
		h, ok := c.holds[id]
		if !ok || h.expiresAt != expires {
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
