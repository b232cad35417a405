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

// RunTransfers commits what Books.Move, Post and Void ask for until ctx ends,
// then what was accepted before, and returns. Without it they wait. The database
// must run longer.
func (s *Service) RunTransfers(ctx context.Context) error { return s.committer.Run(ctx) }

// insertKey keeps the answer to a request that had none.
var insertKey = sqldb.Over("INSERT INTO payments_keys (scope, key, fingerprint, status, answer, created_at) {set} ON CONFLICT DO NOTHING",
	sqldb.Text, sqldb.Text, sqldb.Text, sqldb.Text, sqldb.Text, sqldb.BigInt)

// errAnswered says that the key was used before.
var errAnswered = errors.New("answered before")

// keyedCommit is a submission to the committer under an idempotency key: the
// key is read before the transfers are decided, and stored with the answer in
// the commit that holds them, or that holds nothing because they were refused.
type keyedCommit struct {
	a     Actor
	req   request
	now   time.Time
	shape func([]ledger.Entry) any // the answer

	known *keyRow // what was read
	// of is the transfer that is resolved, "" for none, with what was read of it.
	of        string
	found     bool
	reference string
}

func (k *keyedCommit) read(b *sqldb.Batch) {
	k.known, k.found = nil, false
	b.Query("SELECT fingerprint, status, answer FROM payments_keys WHERE scope = ? AND key = ?", func(r sqldb.Row) error {
		k.known = &keyRow{}
		return r.Scan(&k.known.fingerprint, &k.known.status, &k.known.answer)
	}, k.a.scope(), k.a.Key)
	if k.of != "" {
		ledger.ReadReference(b, k.of, func(reference string) { k.found, k.reference = true, reference })
	}
}

func (k *keyedCommit) check() error {
	switch {
	case k.known != nil:
		return errAnswered
	case k.of == "":
		return nil
	case !k.found:
		return fmt.Errorf("%w: %.128s", ledger.ErrUnknown, k.of)
	}
	return ofApp(k.of, k.reference)
}

func (k *keyedCommit) save(b *sqldb.Batch, entries []ledger.Entry, refused error) error {
	status, answer := keyDone, any(nil)
	if refused == nil {
		answer = k.shape(entries)
	} else if r := refusalOf(refused); r != nil {
		status, answer = keyRefused, r
	} else {
		return nil
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("payments: idempotency answer: %w", err)
	}
	b.ExecSet(insertKey, []string{k.a.scope()}, []string{k.a.Key}, []string{k.req.fingerprint()}, []string{status}, []string{string(text)}, []int64{k.now.UnixMilli()})
	return nil
}

// commitOnce is once for transfers that the committer records together with
// those of other callers. of is the transfer that they resolve, if any. It
// returns ledger.ErrBusy and ledger.ErrStopped besides.
func commitOnce[T any](ctx context.Context, s *Service, a Actor, req request, now time.Time, of string, group []ledger.Transfer, shape func([]ledger.Entry) T) (answer T, err error) {
	if err := checkKey(a.Key); err != nil {
		return answer, err
	}
	k := &keyedCommit{a: a, req: req, now: now, of: of, shape: func(e []ledger.Entry) any { return shape(e) }}
	entries, err := s.committer.Commit(ctx, ledger.Submission{Transfers: group, Key: a.scope() + "/" + a.Key, Read: k.read, Check: k.check, Save: k.save})
	switch {
	case err == nil:
		return shape(entries), nil
	case errors.Is(err, errAnswered):
		return replay[T](k.known, req)
	case errors.Is(err, sqldb.ErrRows): // another operation took the key in between
		return answer, ErrInProgress
	}
	if r := refusalOf(err); r != nil {
		s.m.refusals.WithLabelValues(r.Code).Inc()
	}
	return answer, err
}
