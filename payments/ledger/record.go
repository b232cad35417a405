package ledger

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"parley/internal/sqldb"
)

// chainLock serialises the numbering and chaining of transfers where the
// database has several writers. It is taken before anything is read, so that
// what is read under it is what the previous holder committed.
const chainLock = "ledger:chain"

// maxLinked bounds the transfers of one group.
const maxLinked = 1000

// Record decides and writes transfers at the given time, all or none, in the
// order given, chained behind what is recorded. It returns one of the package's
// errors when a transfer may not happen; the caller must then return an error
// from the closure, so that the transaction is undone.
func (b *Book) Record(tx *sqldb.Tx, at time.Time, transfers ...Transfer) ([]Recorded, error) {
	if err := checkGroup(transfers); err != nil {
		return nil, err
	}
	w := newWriter(tx, b.chart, at)
	if err := w.load(false, transfers); err != nil {
		return nil, err
	}
	recorded, err := w.record(transfers)
	if err != nil {
		return nil, err
	}
	return recorded, w.save()
}

// checkGroup completes the transfers and reports whether they could be recorded on some ledger.
func checkGroup(transfers []Transfer) error {
	if len(transfers) > maxLinked {
		return fmt.Errorf("%w: %d linked transfers, at most %d", ErrShape, len(transfers), maxLinked)
	}
	for i := range transfers {
		if transfers[i].Kind == "" {
			transfers[i].Kind = Posted
		}
		if err := checkShape(&transfers[i]); err != nil {
			return err
		}
	}
	return nil
}

// writer takes groups of linked transfers through three steps: load reads all
// that they touch, record decides each group in memory, save writes what was
// decided. A refused group leaves nothing behind in the writer.
type writer struct {
	tx    *sqldb.Tx
	chart Chart
	book  book
	seq   int64
	head  [32]byte
	// known are the rows that ids, references and resolved ids of the groups
	// name, stored before or decided here.
	byID, byReference map[string]*stored
	rows              []*stored           // decided here, in order
	dirty             map[accountKey]bool // accounts to be saved
}

// stored is a row of the journal with its hash.
type stored struct {
	row
	hash   string
	loaded bool // the postings are there
}

func (s *stored) recorded() Recorded { return Recorded{Seq: s.seq, ID: s.id, Hash: s.hash} }

func newWriter(tx *sqldb.Tx, chart Chart, at time.Time) *writer {
	return &writer{
		tx: tx, chart: chart,
		book: book{accounts: map[accountKey]*Account{}, holds: map[string]hold{}, now: at.UnixMilli()},
		byID: map[string]*stored{}, byReference: map[string]*stored{}, dirty: map[accountKey]bool{},
	}
}

// record decides a group on what the groups before it led to, all or none.
func (w *writer) record(group []Transfer) ([]Recorded, error) {
	try, rows, err := w.begin(group)
	if err != nil {
		return nil, err
	}
	opened := len(rows)
	for i := range group {
		if err := w.unused(group, i); err != nil {
			return nil, err
		}
		if err := w.pending(try, group, i); err != nil {
			return nil, err
		}
		r, err := try.row(&group[i])
		if err != nil {
			return nil, err
		}
		rows = append(rows, &stored{row: r, loaded: true})
	}
	w.keep(try, group, rows)
	recorded := make([]Recorded, len(group))
	for i, r := range rows[opened:] {
		recorded[i] = r.recorded()
	}
	return recorded, nil
}

// begin copies the part of the book that the group touches, and opens the
// accounts that the chart lets it open.
func (w *writer) begin(group []Transfer) (try book, rows []*stored, err error) {
	try = book{accounts: make(map[accountKey]*Account, 2*len(group)), holds: map[string]hold{}, now: w.book.now}
	for i := range group {
		t := &group[i]
		h, ok := w.book.holds[t.Resolves]
		if ok {
			try.holds[t.Resolves] = h
		}
		for _, l := range slices.Concat(t.Legs, h.legs) {
			k := l.key()
			if try.accounts[k] != nil {
				continue
			}
			if a := w.book.accounts[k]; a != nil {
				try.accounts[k] = new(*a)
			} else if terms, ok := w.chart(k.id); ok {
				r, a, err := openAccount(k, terms, try.now)
				if err != nil {
					return try, nil, err
				}
				try.accounts[k] = a
				rows = append(rows, &stored{row: *r, loaded: true})
			}
		}
	}
	return try, rows, nil
}

// unused reports an id or reference that is recorded already or twice in the group.
func (w *writer) unused(group []Transfer, i int) error {
	t := &group[i]
	_, used := w.byID[t.ID]
	if t.Reference != "" && !used {
		_, used = w.byReference[t.Reference]
	}
	for j := range group[:i] {
		used = used || group[j].ID == t.ID || t.Reference != "" && group[j].Reference == t.Reference
	}
	if used {
		return fmt.Errorf("%w: id %s, reference %q", ErrDuplicate, t.ID, t.Reference)
	}
	return nil
}

// pending tells why a hold that the i-th transfer resolves is not open.
func (w *writer) pending(try book, group []Transfer, i int) error {
	t := &group[i]
	if t.Kind != Post && t.Kind != Void {
		return nil
	}
	if _, open := try.holds[t.Resolves]; open {
		return nil
	}
	was := slices.ContainsFunc(group[:i], func(e Transfer) bool { return e.Kind == Pending && e.ID == t.Resolves })
	if s := w.byID[t.Resolves]; was || s != nil && s.kind == Pending {
		return fmt.Errorf("%w: %s", ErrResolved, t.Resolves)
	}
	return fmt.Errorf("%w: %s", ErrPendingUnknown, t.Resolves)
}

// keep takes over what a group led to, numbers its rows and chains them.
func (w *writer) keep(try book, group []Transfer, rows []*stored) {
	for k, a := range try.accounts {
		w.book.accounts[k] = a
		w.dirty[k] = true
	}
	for i := range group {
		delete(w.book.holds, group[i].Resolves)
	}
	for id, h := range try.holds {
		w.book.holds[id] = h
	}
	for _, r := range rows {
		w.chain(r)
	}
}

// chain numbers a row and chains it behind the last.
func (w *writer) chain(r *stored) {
	w.seq++
	r.seq = w.seq
	w.head = r.link(w.head)
	r.hash = hex.EncodeToString(w.head[:])
	w.rows = append(w.rows, r)
	w.byID[r.id] = r
	if r.reference != "" {
		w.byReference[r.reference] = r
	}
}
