package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// Errors of idempotency keys.
var (
	// ErrKeyMissing says that a write that moves money came without a key.
	ErrKeyMissing = errors.New("idempotency key missing")
	// ErrKeyInvalid says that a key is longer than 255 bytes or not printable ASCII.
	ErrKeyInvalid = errors.New("idempotency key invalid")
	// ErrKeyReused says that the key was used for something else; see KeyReusedError.
	ErrKeyReused = errors.New("idempotency key reused with another request")
	// ErrInProgress says that the first request with this key is not finished.
	ErrInProgress = errors.New("request with this idempotency key in progress")
)

// KeyReusedError names what differs between the first request with a key and
// this one. It matches ErrKeyReused.
type KeyReusedError struct {
	Field string // for example "amount"; "operation" for another operation
}

// Error implements error.
func (e *KeyReusedError) Error() string {
	return fmt.Sprintf("%v: %s differs from the first request", ErrKeyReused, e.Field)
}

// Unwrap returns ErrKeyReused.
func (e *KeyReusedError) Unwrap() error { return ErrKeyReused }

// refusals are the errors that are remembered under a key, because they depend
// on a state that may change: a repeated request cannot succeed where the first
// one failed. Their codes are stored; do not rename them.
var refusals = []struct {
	code string
	err  error
}{
	{"insufficient_funds", ErrInsufficientFunds},
	{"ceiling", ledger.ErrCeiling},
	{"account_closed", ledger.ErrAccountClosed},
	{"state", ErrState},
	{"version_stale", ErrVersionStale},
	{"hold_expired", ErrHoldExpired},
	{"confirmation_expired", ErrConfirmationExpired},
	{"live_required", ErrLiveRequired},
	{"too_much", ErrTooMuch},
	{"quote_expired", ErrQuoteExpired},
	{"exchange_empty", ErrExchangeEmpty},
	{"rail", ErrRail},
	{"account_unknown", ledger.ErrAccountUnknown},
	{"transfer_resolved", ledger.ErrResolved},
	{"transfer_expired", ledger.ErrHoldExpired},
	{"transfer_reversed", ledger.ErrReversed},
	{"reference_used", ledger.ErrDuplicate},
}

// Refusal is a refusal repeated from the first request with the same key. It
// matches the error that the first request was answered with.
type Refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// Stop has the details when the gate refused.
	Stop *Stop `json:"stop,omitempty"`
}

// Error implements error.
func (r *Refusal) Error() string { return r.Detail }

// Unwrap returns the error that was answered first.
func (r *Refusal) Unwrap() error {
	for _, known := range refusals {
		if known.code == r.Code {
			return known.err
		}
	}
	return ErrState
}

// refusalOf returns how err is remembered, or nil when it is not.
func refusalOf(err error) *Refusal {
	for _, known := range refusals {
		if errors.Is(err, known.err) {
			return &Refusal{Code: known.code, Detail: err.Error()}
		}
	}
	return nil
}

// request is the business content of a write: what two requests with one key
// must have in common. Preconditions such as a version are not part of it.
type request map[string]string

func (r request) fingerprint() string {
	b, _ := json.Marshal(map[string]string(r)) // sorted by key; strings cannot fail
	return string(b)
}

// differs returns the first field in which r differs from a stored fingerprint, or "".
func (r request) differs(fingerprint string) string {
	if r.fingerprint() == fingerprint {
		return ""
	}
	old := map[string]string{}
	if err := json.Unmarshal([]byte(fingerprint), &old); err != nil {
		return "operation"
	}
	if r["operation"] != old["operation"] {
		return "operation"
	}
	fields := maps.Clone(old)
	maps.Copy(fields, r)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if old[name] != r[name] {
			return name
		}
	}
	return "operation"
}

func checkKey(key string) error {
	if key == "" {
		return ErrKeyMissing
	}
	if len(key) > 255 {
		return ErrKeyInvalid
	}
	for _, c := range []byte(key) {
		if c < 0x21 || c > 0x7e {
			return ErrKeyInvalid
		}
	}
	return nil
}

// The states of a key.
const (
	keyRunning = "running"
	keyDone    = "done"
	keyRefused = "refused"
)

// keyRow is what is stored under a key.
type keyRow struct {
	fingerprint, status, answer string
	created                     time.Time
}

const selectKey = "SELECT fingerprint, status, answer, created_at FROM payments_keys WHERE scope = ? AND key = ?"

func scanKey(r sqldb.Row) (*keyRow, error) {
	var k keyRow
	var created int64
	err := r.Scan(&k.fingerprint, &k.status, &k.answer, &created)
	k.created = fromMillis(created)
	return &k, err
}

// lock is what requests with the actor's key lock.
func (a Actor) lock() string { return "payments:key:" + a.scope() + "/" + a.Key }

// findKey locks a key until the end of the transaction and returns what is stored under it, or nil.
func findKey(tx *sqldb.Tx, a Actor) (k *keyRow, err error) {
	b := tx.Batch()
	b.Lock(a.lock())
	b.Query(selectKey, func(r sqldb.Row) (err error) {
		k, err = scanKey(r)
		return err
	}, a.scope(), a.Key)
	if err := b.Send(); err != nil {
		return nil, fmt.Errorf("payments: idempotency key: %w", err)
	}
	return k, nil
}

// saveKey stores an answer, in place of a running mark if there is one. It
// returns ErrInProgress when the key was answered since it was looked for, by
// something that does not lock it; the transaction must then be undone.
func saveKey(tx *sqldb.Tx, a Actor, req request, status string, answer any, now time.Time) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("payments: idempotency answer: %w", err)
	}
	n, err := tx.Exec("INSERT INTO payments_keys (scope, key, fingerprint, status, answer, created_at) VALUES (?, ?, ?, ?, ?, ?)"+
		" ON CONFLICT (scope, key) DO UPDATE SET status = excluded.status, answer = excluded.answer WHERE payments_keys.status = 'running'",
		a.scope(), a.Key, req.fingerprint(), status, string(text), now.UnixMilli())
	switch {
	case err != nil:
		return fmt.Errorf("payments: idempotency key: %w", err)
	case n == 0:
		return ErrInProgress
	}
	return nil
}

// replay answers a request whose key is known, from what was answered first.
func replay[T any](k *keyRow, req request) (answer T, err error) {
	if field := req.differs(k.fingerprint); field != "" {
		return answer, &KeyReusedError{Field: field}
	}
	switch k.status {
	case keyRunning:
		return answer, ErrInProgress
	case keyRefused:
		var r Refusal
		if err := json.Unmarshal([]byte(k.answer), &r); err != nil {
			return answer, fmt.Errorf("payments: stored refusal: %w", err)
		}
		return answer, r.restore()
	}
	if err := json.Unmarshal([]byte(k.answer), &answer); err != nil {
		return answer, fmt.Errorf("payments: stored answer: %w", err)
	}
	return answer, nil
}

// once runs do in a transaction and stores its answer under the actor's key in
// the same transaction; a repeated request gets the stored answer and do does
// not run. Refusals that depend on state are stored too.
func once[T any](ctx context.Context, s *Service, a Actor, req request, do func(tx *sqldb.Tx, now time.Time) (T, error)) (T, error) {
	var answer T
	if err := checkKey(a.Key); err != nil {
		return answer, err
	}
	var stop *Stop // the gate refused: what it wrote stays, and nothing else was written
	err := s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		stop = nil
		k, err := findKey(tx, a)
		if err != nil {
			return err
		}
		if k != nil {
			answer, err = replay[T](k, req)
			return err
		}
		now := s.now()
		if answer, err = do(tx, now); err != nil {
			stop, err = s.stopped(tx, a, req, err, now)
			return err
		}
		return saveKey(tx, a, req, keyDone, answer, now)
	})
	if err == nil && stop != nil {
		return answer, stop
	}
	var repeated *Refusal
	if r := refusalOf(err); r != nil && !errors.As(err, &repeated) {
		s.m.refusals.WithLabelValues(r.Code).Inc()
		return refuse[T](ctx, s, a, req, r, err)
	}
	return answer, err
}

// refuse stores a refusal and returns it, or the answer that another request
// with the key got in between.
func refuse[T any](ctx context.Context, s *Service, a Actor, req request, r *Refusal, refused error) (answer T, err error) {
	replayed := false
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		k, err := findKey(tx, a)
		if err != nil {
			return err
		}
		if replayed = k != nil && k.status != keyRunning; replayed {
			answer, err = replay[T](k, req)
			return err
		}
		return saveKey(tx, a, req, keyRefused, r, s.now())
	})
	if err == nil && !replayed {
		err = refused
	}
	return answer, err
}
