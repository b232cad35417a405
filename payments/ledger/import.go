package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"parley/internal/sqldb"
)

// Import records opening balances.
type Import struct {
	DB   *sqldb.DB
	Book *Book // whose chart opens accounts that do not exist
	// Source gives the balances: an account that may go negative, of the kind
	// of the same name. Empty means "opening".
	Source string
	// Allow, if set, says which accounts may be given one.
	Allow func(account, currency string) error
	// Now is the time of recording; nil means the machine's.
	Now func() time.Time
	// DryRun validates and writes nothing.
	DryRun bool
	// Progress, if set, hears of lines recorded and their number.
	Progress func(done, total int64)
}

// Imported is what an import did, or would do.
type Imported struct {
	Lines    int64 // with a balance
	Recorded int64 // now
	Already  int64 // by an earlier run
	// Sums are the amounts of all lines by currency.
	Sums map[string]int64
}

// ImportError names the lines that are wrong; nothing was written.
type ImportError struct {
	Count int64       // of all bad lines
	Bad   []LineError // the first of them
}

// badShown bounds the lines that an ImportError names.
const badShown = 100

// Error implements error.
func (e *ImportError) Error() string {
	text := fmt.Sprintf("%d lines are wrong, nothing was recorded", e.Count)
	for i := range e.Bad {
		text += "\n" + e.Bad[i].Error()
	}
	if e.Count > int64(len(e.Bad)) {
		text += fmt.Sprintf("\nand %d more", e.Count-int64(len(e.Bad)))
	}
	return text
}

// importPage is how many lines are recorded in one transaction.
const importPage = 500

// Run validates the whole file first, on what the ledger has now, and returns
// an *ImportError when a line is wrong. Then it records the lines in groups,
// each all or none. A line's reference keeps it from being recorded twice: a run
// that was interrupted is completed by running it again with the same file.
func (m Import) Run(ctx context.Context, file io.ReadSeeker) (Imported, error) {
	if m.Source == "" {
		m.Source = "opening"
	}
	if m.Now == nil {
		m.Now = time.Now
	}
	v := &validator{Import: m, seen: map[[16]byte]int{}, book: book{accounts: map[accountKey]*Account{}, holds: map[string]hold{}}, done: Imported{Sums: map[string]int64{}}}
	if err := v.validate(ctx, file); err != nil || m.DryRun {
		return v.done, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return v.done, fmt.Errorf("ledger: import: %w", err)
	}
	err := m.record(ctx, file, &v.done)
	return v.done, err
}

// transfer is the line as it is recorded. Its id comes from its reference.
func (o *Opening) transfer(source string) Transfer {
	reference := o.reference()
	sum := sha256.Sum256([]byte(reference))
	return Transfer{
		ID: "tro_" + hex.EncodeToString(sum[:13]), Kind: Posted, Reference: reference, EffectiveAt: o.EffectiveAt, Note: o.Note,
		Legs: []Leg{{o.Account, o.Currency, o.Amount}, {source, o.Currency, -o.Amount}},
	}
}

func (o *Opening) reference() string {
	if o.Reference != "" {
		return "opening/" + o.Reference
	}
	return "opening/" + o.Account + "/" + o.Currency
}

// validator plays a file on a copy of the accounts that it names.
type validator struct {
	Import
	seen map[[16]byte]int // line by hash of the reference
	book book
	done Imported
	bad  ImportError
}

func (v *validator) validate(ctx context.Context, file io.Reader) error {
	err := eachGroup(file, func(group []Opening) error {
		return v.DB.View(ctx, func(tx *sqldb.Tx) error {
			for i := range group {
				err := v.line(tx, &group[i])
				var bad *LineError
				if errors.As(err, &bad) {
					v.add(*bad)
				} else if err != nil {
					return err
				}
			}
			return nil
		})
	}, v.add)
	if err != nil {
		return err
	}
	if v.bad.Count > 0 {
		slices.SortFunc(v.bad.Bad, func(a, b LineError) int { return a.Line - b.Line })
		return &v.bad
	}
	return nil
}

func (v *validator) add(bad LineError) {
	v.bad.Count++
	if len(v.bad.Bad) < badShown {
		v.bad.Bad = append(v.bad.Bad, bad)
	}
}

// eachGroup hands lines to do in groups, and bad lines to bad.
func eachGroup(file io.Reader, do func([]Opening) error, bad func(LineError)) error {
	group := make([]Opening, 0, importPage)
	for o, err := range Openings(file) {
		var wrong *LineError
		switch {
		case errors.As(err, &wrong):
			bad(*wrong)
			continue
		case err != nil:
			return err
		}
		if group = append(group, o); len(group) == importPage {
			if err := do(group); err != nil {
				return err
			}
			group = group[:0]
		}
	}
	return do(group)
}

// line validates one line; what is wrong with it comes as a *LineError.
func (v *validator) line(tx *sqldb.Tx, o *Opening) error {
	wrong := func(format string, args ...any) error { return &LineError{o.Line, fmt.Errorf(format, args...)} }
	t := o.transfer(v.Source)
	sum := sha256.Sum256([]byte(t.Reference))
	key := [16]byte(sum[:])
	if first, twice := v.seen[key]; twice {
		return wrong("has the reference of line %d; give one of the two a reference of its own", first)
	}
	v.seen[key] = o.Line
	if v.Allow != nil {
		if err := v.Allow(o.Account, o.Currency); err != nil {
			return wrong("%w", err)
		}
	}
	already, err := recordedOpening(tx, o, t)
	switch {
	case errors.Is(err, ErrDuplicate):
		return wrong("%w", err)
	case err != nil:
		return err
	case already:
		v.done.Already++
	default:
		if err := v.account(tx, t.Legs[0].key()); errors.Is(err, ErrAccountUnknown) {
			return wrong("%w", err)
		} else if err != nil {
			return err
		}
		if err := v.play(&t); err != nil {
			return wrong("%w", err)
		}
	}
	v.done.Lines++
	v.done.Sums[o.Currency] += o.Amount
	return nil
}

// recordedOpening reports whether an earlier run has recorded the line; it is
// an ErrDuplicate when the reference stands for something else.
func recordedOpening(tx *sqldb.Tx, o *Opening, t Transfer) (bool, error) {
	r, known, err := Find(tx, t.Reference)
	if err != nil || !known {
		return false, err
	}
	e, err := Get(tx, r.ID)
	if err != nil {
		return false, err
	}
	for _, p := range e.Postings {
		if p == Posting(t.Legs[0]) && (o.EffectiveAt.IsZero() || o.EffectiveAt.UnixMilli() == e.EffectiveAt.UnixMilli()) {
			return true, nil
		}
	}
	return false, fmt.Errorf("%w: %s is recorded with another account, amount or time", ErrDuplicate, t.Reference)
}

// account reads the account, or opens it on paper as the chart would.
func (v *validator) account(tx *sqldb.Tx, k accountKey) error {
	source := accountKey{v.Source, k.currency}
	if v.book.accounts[source] == nil {
		v.book.accounts[source] = &Account{ID: v.Source, Currency: k.currency, Terms: v.sourceTerms()}
	}
	if v.book.accounts[k] != nil {
		return nil
	}
	a, err := Balance(tx, k.id, k.currency)
	if errors.Is(err, ErrAccountUnknown) {
		terms, ok := v.Book.chart(k.id)
		if !ok {
			return err
		}
		a, err = Account{ID: k.id, Currency: k.currency, Terms: terms}, nil
	}
	v.book.accounts[k] = &a
	return err
}

func (m Import) sourceTerms() Terms { return Terms{Kind: m.Source, MayGoNegative: true} }

// play decides the transfer on paper and takes it back when it may not happen.
func (v *validator) play(t *Transfer) error {
	var before [2]Account
	for i, l := range t.Legs {
		before[i] = *v.book.accounts[l.key()]
	}
	_, err := v.book.apply(t)
	if err != nil {
		for i, l := range t.Legs {
			*v.book.accounts[l.key()] = before[i]
		}
	}
	return err
}

// record writes the lines that no earlier run has written.
func (m Import) record(ctx context.Context, file io.Reader, done *Imported) error {
	for _, currency := range slices.Sorted(maps.Keys(done.Sums)) {
		err := m.DB.Update(ctx, func(tx *sqldb.Tx) error { return m.Book.Open(tx, m.Now(), m.Source, currency, m.sourceTerms()) })
		if err != nil {
			return err
		}
	}
	return eachGroup(file, func(group []Opening) error {
		n := 0
		err := m.DB.Update(ctx, func(tx *sqldb.Tx) error {
			n = 0
			missing, err := m.missing(tx, group)
			if err != nil || len(missing) == 0 {
				return err
			}
			n = len(missing)
			_, err = m.Book.Record(tx, m.Now(), missing...)
			return err
		})
		if err != nil && len(group) > 0 {
			return fmt.Errorf("lines %d to %d, after %d recorded: %w", group[0].Line, group[len(group)-1].Line, done.Recorded, err)
		}
		done.Recorded += int64(n)
		if m.Progress != nil {
			m.Progress(done.Recorded+done.Already, done.Lines)
		}
		return err
	}, func(LineError) {})
}

// missing are the transfers of the lines that are not recorded.
func (m Import) missing(tx *sqldb.Tx, group []Opening) ([]Transfer, error) {
	var missing []Transfer
	for i := range group {
		t := group[i].transfer(m.Source)
		already, err := recordedOpening(tx, &group[i], t)
		if err != nil {
			return nil, err
		}
		if !already {
			missing = append(missing, t)
		}
	}
	return missing, nil
}
