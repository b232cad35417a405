package payments

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// AccountInput opens an account of the app.
type AccountInput struct {
	ID, Currency  string
	MayGoNegative bool
	Ceiling       int64
	Metadata      map[string]string // kept as it is when nil
}

// Open opens an account of the app in one currency. Opening it again on the
// same terms changes nothing but the metadata, if given.
func (b *Books) Open(ctx context.Context, a Actor, in AccountInput) (ledger.Profile, error) {
	if !isAppAccount(in.ID) {
		return ledger.Profile{}, fmt.Errorf("%w: the app's accounts are called %q and letters, digits, . _ - : behind it", ErrReserved, appPrefix)
	}
	if _, err := Exponent(in.Currency); err != nil {
		return ledger.Profile{}, err
	}
	return b.change(ctx, a, in.ID, in.Currency, func(tx *sqldb.Tx, now time.Time) error {
		terms := ledger.Terms{Kind: appKind, MayGoNegative: in.MayGoNegative, Ceiling: in.Ceiling}
		if err := b.s.book.Open(tx, now, in.ID, in.Currency, terms); err != nil || in.Metadata == nil {
			return err
		}
		return b.s.book.SetMetadata(tx, now, in.ID, in.Currency, in.Metadata)
	})
}

// Close closes an empty account of the app for ever.
func (b *Books) Close(ctx context.Context, a Actor, id, currency string) (ledger.Profile, error) {
	if !isAppAccount(id) {
		return ledger.Profile{}, fmt.Errorf("%w: account %.160s", ErrReserved, id)
	}
	return b.change(ctx, a, id, currency, func(tx *sqldb.Tx, now time.Time) error {
		return b.s.book.Close(tx, now, id, currency)
	})
}

// SetMetadata replaces what is written to an account besides money; of any
// account, since it moves none.
func (b *Books) SetMetadata(ctx context.Context, a Actor, id, currency string, metadata map[string]string) (ledger.Profile, error) {
	return b.change(ctx, a, id, currency, func(tx *sqldb.Tx, now time.Time) error {
		return b.s.book.SetMetadata(tx, now, id, currency, metadata)
	})
}

// change lets do change an account and returns it as it is then.
func (b *Books) change(ctx context.Context, a Actor, id, currency string, do func(*sqldb.Tx, time.Time) error) (p ledger.Profile, err error) {
	if err := serverOnly(a); err != nil {
		return p, err
	}
	err = b.s.d.DB.Update(ctx, func(tx *sqldb.Tx) (err error) {
		if err = do(tx, b.s.now()); err != nil {
			return err
		}
		p, err = ledger.ProfileOf(tx, id, currency)
		return err
	})
	return p, err
}

// view runs a read for a server key.
func (b *Books) view(ctx context.Context, a Actor, read func(*sqldb.Tx) error) error {
	if err := serverOnly(a); err != nil {
		return err
	}
	return b.s.d.DB.View(ctx, read)
}

// Account returns one account, or ledger.ErrAccountUnknown.
func (b *Books) Account(ctx context.Context, a Actor, id, currency string) (p ledger.Profile, err error) {
	err = b.view(ctx, a, func(tx *sqldb.Tx) (err error) {
		p, err = ledger.ProfileOf(tx, id, currency)
		return err
	})
	return p, err
}

// Accounts returns up to limit accounts behind cursor, and the cursor of the next page or "".
func (b *Books) Accounts(ctx context.Context, a Actor, only ledger.Selection, cursor string, limit int) (list []ledger.Profile, next string, err error) {
	id, currency := "", ""
	if cursor != "" {
		at := strings.LastIndexByte(cursor, '/')
		if at < 0 {
			return nil, "", fmt.Errorf("%w: cursor", ErrInput)
		}
		id, currency = cursor[:at], cursor[at+1:]
	}
	err = b.view(ctx, a, func(tx *sqldb.Tx) (err error) {
		list, err = ledger.Profiles(tx, only, id, currency, limit)
		return err
	})
	if err == nil && len(list) == limit {
		last := list[len(list)-1]
		next = last.ID + "/" + last.Currency
	}
	return list, next, err
}

// Transfer returns one transfer, or ledger.ErrUnknown.
func (b *Books) Transfer(ctx context.Context, a Actor, id string) (e ledger.Entry, err error) {
	err = b.view(ctx, a, func(tx *sqldb.Tx) (err error) {
		e, err = ledger.Get(tx, id)
		return err
	})
	return e, err
}

// Transfers lists transfers, newest first.
func (b *Books) Transfers(ctx context.Context, a Actor, q ledger.Query) (list []ledger.Entry, err error) {
	err = b.view(ctx, a, func(tx *sqldb.Tx) (err error) {
		list, err = ledger.List(tx, q)
		return err
	})
	return list, err
}

// Statement returns lines of an account, newest first; see ledger.Statement.
func (b *Books) Statement(ctx context.Context, a Actor, id, currency string, in ledger.Period, before int64, limit int) (lines []ledger.Line, err error) {
	err = b.view(ctx, a, func(tx *sqldb.Tx) (err error) {
		if _, err = ledger.Balance(tx, id, currency); err != nil {
			return err
		}
		lines, err = ledger.Statement(tx, id, currency, in, before, limit)
		return err
	})
	return lines, err
}

// BalanceAt returns what an account had at a time: by the time of recording
// with what was pending then, or by effective time, which knows nothing pending.
func (b *Books) BalanceAt(ctx context.Context, a Actor, id, currency string, at time.Time, effective bool) (p ledger.Past, err error) {
	err = b.view(ctx, a, func(tx *sqldb.Tx) (err error) {
		if _, err = ledger.Balance(tx, id, currency); err != nil {
			return err
		}
		if effective {
			p.Posted, err = ledger.EffectiveAsOf(tx, id, currency, at)
			return err
		}
		p, err = ledger.RecordedAsOf(tx, id, currency, at)
		return err
	})
	return p, err
}

// Now is the current time of the books.
func (b *Books) Now() time.Time { return b.s.now() }

// Run voids pending transfers whose time is over, until ctx ends. Several nodes may run it.
func (b *Books) Run(ctx context.Context) error {
	for {
		n, err := b.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			b.s.d.Log.Warn("ledger: sweep failed, trying again", "error", err)
		}
		if n == sweepPage && err == nil {
			continue
		}
		if err := b.s.d.Clock.Wait(ctx, b.s.d.Clock.Now().Add(b.s.cfg.SweepEvery)); err != nil {
			return nil // ctx has ended
		}
	}
}

// Sweep looks once for pending transfers whose time is over and returns how many it found.
func (b *Books) Sweep(ctx context.Context) (int, error) {
	var ids []string
	err := b.s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		ids, err = ledger.Expired(tx, b.s.now(), sweepPage)
		return err
	})
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, id := range ids {
		err := b.s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
			now := b.s.now()
			_, err := b.s.book.Record(tx, now, ledger.Transfer{ID: newID("tr_", now), Kind: ledger.Void, Resolves: id, Note: "expired"})
			return err
		})
		if err != nil && !errors.Is(err, ledger.ErrResolved) { // another node was faster
			errs = append(errs, fmt.Errorf("ledger: expire %s: %w", id, err))
		}
	}
	return len(ids), errors.Join(errs...)
}
