package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// RunTransfers commits requests together until ctx ends, then what was accepted
// before, and returns: what Books.Move, Post and Void ask for, which wait for it,
// and the commands to payments that can share a commit, which are transactions of
// their own while it does not run. The database must run longer.
func (s *Service) RunTransfers(ctx context.Context) error {
	s.joining.Store(true)
	defer s.joining.Store(false)
	return s.committer.Run(ctx)
}

var (
	// errAnswered says that the key was used before.
	errAnswered = errors.New("answered before")
	// errAlone says that a request needs a transaction of its own.
	errAlone = errors.New("not together with others")
)

// joint is a request under an idempotency key that shares its commit with
// others: the key is read before anything is decided, and stored with the answer
// in the commit that holds what the request led to, or that holds nothing of it
// because it was refused. Its functions may run again, from read on.
type joint[T any] struct {
	by  Actor
	req request
	// locks are taken besides the key's, before read.
	locks []string
	read  func(b *sqldb.Batch) // may be nil
	// decide tells which transfers the request leads to.
	decide func(tx *sqldb.Tx, now time.Time) ([]ledger.Transfer, error)
	// undo reports whether what decide wrote to tx must not be kept when the
	// request is refused; nil when it writes nothing.
	undo func(refused error) bool
	// save adds what is stored besides transfers and key, and returns the answer.
	save func(b *sqldb.Batch, entries []ledger.Entry) (T, error)
	// after is called once that is committed; may be nil.
	after func()
}

// jointRun is what happens to a joint on its way through the committer.
type jointRun[T any] struct {
	joint[T]
	s      *Service
	known  *keyRow
	now    time.Time
	answer T
	// refusal is what is stored in place of an answer, nil for none.
	refusal *Refusal
}

// together is once for requests that the committer commits together with those
// of other callers. It returns errAlone when decide did or undo said so, and ledger.ErrBusy and
// ledger.ErrStopped besides; then nothing was written.
func together[T any](ctx context.Context, s *Service, j joint[T]) (T, error) {
	var none T
	if err := checkKey(j.by.Key); err != nil {
		return none, err
	}
	r := &jointRun[T]{joint: j, s: s}
	_, err := s.committer.Commit(ctx, ledger.Submission{
		Locks: append([]string{j.by.lock()}, j.locks...), Read: r.readAll, Decide: r.decideOnce, Undo: r.undo, Save: r.saveAll,
	})
	switch {
	case err == nil:
		if r.after != nil {
			r.after()
		}
		return r.answer, nil
	case errors.Is(err, ledger.ErrApart):
		return none, errAlone
	case errors.Is(err, errAnswered):
		return replay[T](r.known, j.req)
	case errors.Is(err, sqldb.ErrRows): // something that does not lock it took the key in between
		return none, ErrInProgress
	}
	var stop *Stop
	if errors.As(err, &stop) {
		s.m.refusals.WithLabelValues("safety_" + stop.Reason).Inc()
		return none, stop
	}
	if r.refusal != nil {
		s.m.refusals.WithLabelValues(r.refusal.Code).Inc()
	}
	return none, err
}

func (r *jointRun[T]) readAll(b *sqldb.Batch) {
	r.known = nil
	b.Query(selectKey, func(row sqldb.Row) (err error) {
		r.known, err = scanKey(row)
		return err
	}, r.by.scope(), r.by.Key)
	if r.read != nil {
		r.read(b)
	}
}

func (r *jointRun[T]) decideOnce(tx *sqldb.Tx) ([]ledger.Transfer, error) {
	if r.known != nil {
		return nil, errAnswered
	}
	r.now = r.s.now()
	return r.decide(tx, r.now)
}

func (r *jointRun[T]) saveAll(b *sqldb.Batch, entries []ledger.Entry, refused error) error {
	if r.refusal = nil; refused == nil {
		var err error
		if r.answer, err = r.save(b, entries); err != nil {
			return err
		}
		return r.saveKey(b, keyDone, r.answer)
	}
	if r.refusal = lastingRefusal(refused); r.refusal == nil {
		return nil
	}
	return r.saveKey(b, keyRefused, r.refusal)
}

// saveKey keeps the answer to a request that had none.
func (r *jointRun[T]) saveKey(b *sqldb.Batch, status string, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("payments: idempotency answer: %w", err)
	}
	b.Exec("INSERT INTO payments_keys (scope, key, fingerprint, status, answer, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", 1,
		r.by.scope(), r.by.Key, r.req.fingerprint(), status, string(text), r.now.UnixMilli())
	return nil
}

// lastingRefusal is how err is remembered, nil when it is not.
func lastingRefusal(err error) *Refusal {
	var stop *Stop
	if errors.As(err, &stop) {
		if !stop.final() {
			return nil
		}
		return stop.refusal()
	}
	return refusalOf(err)
}
