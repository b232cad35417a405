package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/payments/outbox"
)

// ErrRequestLimited says that somebody asks too often; see LimitError.
var ErrRequestLimited = errors.New("too many requests to pay")

// LimitError says which limit of AskLimits is reached and when it is not any
// more. It matches ErrRequestLimited.
type LimitError struct {
	// Limit is open_per_pair, per_day, after_decline or remind_every.
	Limit string
	// Retry is how long to wait.
	Retry time.Duration
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %s, wait %d s", ErrRequestLimited, e.Limit, e.RetryAfter())
}

// Unwrap returns ErrRequestLimited.
func (e *LimitError) Unwrap() error { return ErrRequestLimited }

// RetryAfter is the wait in whole seconds, at least one.
func (e *LimitError) RetryAfter() int {
	return max(1, int((e.Retry+time.Second-1)/time.Second))
}

// AskLimits bound what users ask of each other. They do not bind server keys.
// The zero value takes the defaults.
type AskLimits struct {
	// OpenPerPair is how many requests one payee may have open with one payer. 0 means 5.
	OpenPerPair int
	// PerDay is how many requests a payee may make within any 24 h. 0 means 100.
	PerDay int
	// AfterDecline is how long after a decline or report the payee may not ask the same payer. 0 means 24 h.
	AfterDecline time.Duration
	// RemindEvery is the least time between two reminders of a request, and
	// between the request and the first. 0 means 24 h.
	RemindEvery time.Duration
	// Reporters is how many different payers must report requests of a payee
	// for all of them to be stopped. 0 means 3.
	Reporters int
}

// day is the window of AskLimits.PerDay.
const day = 24 * time.Hour

// fill puts the defaults in and refuses limits that make no sense.
func (l *AskLimits) fill() error {
	if min(l.OpenPerPair, l.PerDay, l.Reporters) < 0 || min(l.AfterDecline, l.RemindEvery) < 0 {
		return errors.New("payments: limits of requests must not be negative")
	}
	for _, d := range []struct {
		limit *int
		value int
	}{{&l.OpenPerPair, 5}, {&l.PerDay, 100}, {&l.Reporters, 3}} {
		if *d.limit == 0 {
			*d.limit = d.value
		}
	}
	orDefault(&l.AfterDecline, day)
	orDefault(&l.RemindEvery, day)
	return nil
}

// withinLimits checks one more request of payee to payer; the caller holds the payee's lock.
func (s *Service) withinLimits(tx *sqldb.Tx, payer, payee string, now time.Time) error {
	var n, when int64
	err := tx.QueryRow("SELECT COUNT(*), COALESCE(MIN(deadline), 0) FROM payments_intents WHERE payee = ? AND payer = ? AND asked_by = 'payee' AND state = 'requested'",
		payee, payer).Scan(&n, &when)
	if err != nil {
		return fmt.Errorf("payments: limits: %w", err)
	}
	if n >= int64(s.cfg.Asking.OpenPerPair) {
		return &LimitError{Limit: "open_per_pair", Retry: fromMillis(when).Sub(now)}
	}
	err = tx.QueryRow("SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM payments_intents WHERE payee = ? AND asked_by = 'payee' AND created_at > ?",
		payee, now.Add(-day).UnixMilli()).Scan(&n, &when)
	if err != nil {
		return fmt.Errorf("payments: limits: %w", err)
	}
	if n >= int64(s.cfg.Asking.PerDay) {
		return &LimitError{Limit: "per_day", Retry: fromMillis(when).Add(day).Sub(now)}
	}
	err = tx.QueryRow("SELECT COUNT(*), COALESCE(MAX(updated_at), 0) FROM payments_intents WHERE payee = ? AND payer = ? AND asked_by = 'payee'"+
		" AND state IN ('declined', 'review') AND updated_at > ?", payee, payer, now.Add(-s.cfg.Asking.AfterDecline).UnixMilli()).Scan(&n, &when)
	if err != nil {
		return fmt.Errorf("payments: limits: %w", err)
	}
	if n > 0 {
		return &LimitError{Limit: "after_decline", Retry: fromMillis(when).Add(s.cfg.Asking.AfterDecline).Sub(now)}
	}
	return nil
}

// Remind tells the payer again of a request: by the payee or a server key, of
// a payment still requested, once in AskLimits.RemindEvery.
func (s *Service) Remind(ctx context.Context, a Actor, id string) (Payment, error) {
	return once(ctx, s, a, request{"operation": "remind", "payment": id}, func(tx *sqldb.Tx, now time.Time) (Payment, error) {
		at, err := loadForUpdate(tx, id)
		if err != nil {
			return Payment{}, err
		}
		if err := s.mayRemind(tx, a, at.Intent, now); err != nil {
			return Payment{}, err
		}
		_, err = tx.Exec("INSERT INTO payments_reminders (payment, at, count) VALUES (?, ?, 1)"+
			" ON CONFLICT (payment) DO UPDATE SET at = excluded.at, count = payments_reminders.count + 1", id, now.UnixMilli())
		if err != nil {
			return Payment{}, fmt.Errorf("payments: remind: %w", err)
		}
		return view(at.Intent), s.announce(tx, at.Intent, "reminded", now)
	})
}

func (s *Service) mayRemind(tx *sqldb.Tx, a Actor, in Intent, now time.Time) error {
	by, err := in.partyOf(a)
	switch {
	case err != nil:
		return err
	case by == Payer:
		return fmt.Errorf("%w: remind", ErrNotParty)
	case in.State != Requested || past(in.Deadline, now):
		return fmt.Errorf("%w: remind of a payment that is %s", ErrState, in.State)
	}
	if by == Payee {
		if err := s.notBlocked(tx, in.Payer, in.Payee); err != nil {
			return err
		}
		if err := s.notStopped(tx, in.Payee); err != nil {
			return err
		}
	}
	last := in.CreatedAt.UnixMilli()
	if err := tx.QueryRow("SELECT COALESCE(MAX(at), ?) FROM payments_reminders WHERE payment = ?", last, in.ID).Scan(&last); err != nil {
		return fmt.Errorf("payments: remind: %w", err)
	}
	every := s.cfg.Asking.RemindEvery
	if next := fromMillis(last).Add(every); now.Before(next) {
		return &LimitError{Limit: "remind_every", Retry: min(every, next.Sub(now))} // who asked at the same time may have looked at the clock later
	}
	return nil
}

// reported prepares a report: what the payee has of the money is known, and a
// request counts against the payee who made it, once for each reporter.
func (s *Service) reported(tx *sqldb.Tx, at stored, c *Command, now time.Time) error {
	if c.By == Payer && at.Ask.By == AskedByPayee {
		_, err := tx.Exec("INSERT INTO payments_reports (payee, reporter, payment, at) VALUES (?, ?, ?, ?) ON CONFLICT (payee, reporter) DO NOTHING",
			at.Payee, at.Payer, at.ID, now.UnixMilli())
		if err != nil {
			return fmt.Errorf("payments: report: %w", err)
		}
	}
	return s.reserveOf(tx, at, c, now)
}

func (s *Service) notStopped(tx *sqldb.Tx, payee string) error {
	n, err := reportersOf(tx, payee)
	if err == nil && n >= s.cfg.Asking.Reporters {
		err = ErrRequestsStopped
	}
	return err
}

func reportersOf(tx *sqldb.Tx, payee string) (n int, err error) {
	if err = tx.QueryRow("SELECT COUNT(*) FROM payments_reports WHERE payee = ?", payee).Scan(&n); err != nil {
		err = fmt.Errorf("payments: reports: %w", err)
	}
	return n, err
}

// AskingReview is how a payee stands with those who were asked.
type AskingReview struct {
	User      string `json:"user"`
	Reporters int    `json:"reporters" doc:"different payers who reported requests of this user since the last review"`
	Stopped   bool   `json:"stopped" doc:"the user can make no requests until a review clears the reports"`
}

// ReviewAsking tells a server key how many people reported requests of a user; with
// clear, the reports count no more and the user may ask again. Others get ErrNotParty.
func (s *Service) ReviewAsking(ctx context.Context, a Actor, user string, isCleared bool) (AskingReview, error) {
	if !a.Server {
		return AskingReview{}, fmt.Errorf("%w: a server key reviews", ErrNotParty)
	}
	r := AskingReview{User: user}
	err := s.d.DB.Update(ctx, func(tx *sqldb.Tx) (err error) {
		if isCleared {
			if _, err := tx.Exec("DELETE FROM payments_reports WHERE payee = ?", user); err != nil {
				return fmt.Errorf("payments: review: %w", err)
			}
		}
		r.Reporters, err = reportersOf(tx, user)
		return err
	})
	r.Stopped = r.Reporters >= s.cfg.Asking.Reporters
	return r, err
}

// tell appends an event of a link or a request to several people.
func (s *Service) tell(tx *sqldb.Tx, ev outbox.Event, now time.Time) error {
	ev.ID, ev.Time = newID("evt_", now), now
	if _, err := outbox.Append(tx, ev); err != nil {
		return err
	}
	tx.AfterCommit(s.d.Wake)
	return nil
}
