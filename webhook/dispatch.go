package webhook

import (
	"context"
	"fmt"
	"sync"
	"time"

	"parley/internal/sqldb"
)

// leaseTime is how long a dispatcher that died keeps a delivery from the others.
const leaseTime = time.Minute

// finishTime bounds how long a stopping dispatcher may take to write down what it did.
const finishTime = 5 * time.Second

// housekeeping is how often finished deliveries are looked through for old ones.
const housekeeping = time.Hour

// job is a delivery to be sent now.
type job struct {
	delivery, event, object string
	version                 int64
	tries, attempts         int64
	body                    []byte
	to                      endpoint
}

// crew is what is under way in this process: of each endpoint at most
// Config.Workers, of each object of it at most one.
type crew struct {
	mu   sync.Mutex
	busy map[string]map[string]bool // objects by endpoint
	wg   sync.WaitGroup
}

// free returns how many more an endpoint may have under way.
func (c *crew) free(endpoint string, workers int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return workers - len(c.busy[endpoint])
}

func (c *crew) has(endpoint, object string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy[endpoint][object]
}

func (c *crew) take(endpoint, object string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[endpoint] == nil {
		c.busy[endpoint] = map[string]bool{}
	}
	c.busy[endpoint][object] = true
}

func (c *crew) drop(endpoint, object string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy[endpoint], object)
	if len(c.busy[endpoint]) == 0 {
		delete(c.busy, endpoint)
	}
}

// Run sends until ctx ends, and returns after every request it started has
// ended. A request that is cut off by the end is made again at the next start.
func (s *Service) Run(ctx context.Context) error {
	c := &crew{busy: map[string]map[string]bool{}}
	defer s.client.CloseIdleConnections()
	defer c.wg.Wait()
	swept, refreshed := time.Time{}, time.Time{}
	for ctx.Err() == nil {
		more, err := s.dispatch(ctx, c)
		if err != nil && ctx.Err() == nil {
			s.d.Log.Warn("webhooks: looking for work failed, trying again", "err", err)
		}
		if seen := time.Now(); seen.Sub(refreshed) >= s.cfg.Poll || s.interest.filters.Load() == nil {
			refreshed = seen
			if err := s.refresh(ctx); err != nil && ctx.Err() == nil {
				s.d.Log.Warn("webhooks: endpoints not read, trying again", "err", err)
			}
		}
		if now := s.now(); now.Sub(swept) >= housekeeping {
			swept = now
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.d.Log.Warn("webhooks: old deliveries not removed", "err", err)
			}
		}
		if !more {
			s.pause(ctx)
		}
	}
	return nil
}

// pause waits for the poll interval or the doorbell.
func (s *Service) pause(ctx context.Context) {
	until := s.d.Clock.Now().Add(s.cfg.Poll)
	waiting, stop := context.WithCancel(ctx)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = s.d.Clock.Wait(waiting, until) // ends early when the bell rings or ctx ends
	}()
	select {
	case <-s.bell:
	case <-waited:
	}
	stop()
	<-waited
}

// dispatch starts what may be sent now and reports whether it started anything.
func (s *Service) dispatch(ctx context.Context, c *crew) (more bool, err error) {
	due, err := s.dueEndpoints(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range due {
		free := c.free(id, s.cfg.Workers)
		if free <= 0 {
			continue // the end of one of them rings the bell
		}
		jobs, err := s.claim(ctx, c, id, free)
		if err != nil {
			return more, err
		}
		for _, j := range jobs {
			more = true
			c.take(id, j.object)
			c.wg.Go(func() {
				defer s.Wake()
				defer c.drop(id, j.object)
				s.work(ctx, j)
			})
		}
	}
	return more, nil
}

// dueEndpoints are those to which something may be sent now.
func (s *Service) dueEndpoints(ctx context.Context) (ids []string, err error) {
	now := s.now().UnixMilli()
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT e.id FROM webhook_endpoints e WHERE e.disabled = 0 AND e.paused_until <= ? AND EXISTS"+
			" (SELECT 1 FROM webhook_deliveries d WHERE d.state = ? AND d.head = 1 AND d.endpoint = e.id AND d.due <= ? AND d.lease <= ?) ORDER BY e.id",
			now, string(Pending), now, now)
		if err != nil {
			return fmt.Errorf("webhook: due: %w", err)
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return fmt.Errorf("webhook: due: %w", err)
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids, err
}

// claim takes up to limit deliveries of an endpoint, of different objects, none of them under way here.
func (s *Service) claim(ctx context.Context, c *crew, id string, limit int) (jobs []job, err error) {
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		jobs = nil
		if err := lock(tx, id); err != nil {
			return err
		}
		e, err := readEndpoint(tx, id)
		now := s.now()
		if err != nil || e.Disabled || now.Before(e.pausedUntil) {
			return ignoreUnknown(err)
		}
		found, err := readJobs(tx, e, now.UnixMilli(), s.cfg.Workers+limit)
		if err != nil {
			return err
		}
		for _, j := range found {
			if len(jobs) == limit || c.has(id, j.object) {
				continue
			}
			_, err := tx.Exec("UPDATE webhook_deliveries SET lease = ?, version = version + 1 WHERE id = ?", now.Add(leaseTime).UnixMilli(), j.delivery)
			if err != nil {
				return fmt.Errorf("webhook: claim: %w", err)
			}
			j.version++
			jobs = append(jobs, j)
		}
		return nil
	})
	return jobs, err
}

func readJobs(tx *sqldb.Tx, e endpoint, now int64, limit int) (list []job, err error) {
	rows, err := tx.Query("SELECT d.id, d.event, d.object, d.version, d.tries, d.attempts, ev.body FROM webhook_deliveries d JOIN webhook_events ev ON ev.id = d.event"+
		" WHERE d.state = ? AND d.head = 1 AND d.endpoint = ? AND d.due <= ? AND d.lease <= ? ORDER BY d.due, d.id LIMIT ?", string(Pending), e.ID, now, now, limit)
	if err != nil {
		return nil, fmt.Errorf("webhook: claim: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		j := job{to: e}
		var body string
		if err := rows.Scan(&j.delivery, &j.event, &j.object, &j.version, &j.tries, &j.attempts, &body); err != nil {
			return nil, fmt.Errorf("webhook: claim: %w", err)
		}
		j.body = []byte(body)
		list = append(list, j)
	}
	return list, rows.Err()
}

// work makes one attempt and writes down what became of it.
func (s *Service) work(ctx context.Context, j job) {
	at := s.now()
	answer := s.send(ctx, j, at)
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	var err error
	if answer.err != nil && ctx.Err() != nil {
		err = s.release(finish, j)
	} else {
		err = s.settle(finish, j, at, answer)
	}
	if err != nil {
		s.d.Log.Warn("webhooks: outcome not written, the delivery is made again", "delivery", j.delivery, "err", err)
	}
}

// release gives back what a stopping dispatcher did not send.
func (s *Service) release(ctx context.Context, j job) error {
	return s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE webhook_deliveries SET lease = 0 WHERE id = ? AND version = ?", j.delivery, j.version)
		return err
	})
}

// settle records an attempt and what follows from it.
func (s *Service) settle(ctx context.Context, j job, at time.Time, a answer) error {
	next := s.decide(j.tries+1, s.now(), a)
	err := s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := lock(tx, j.to.ID); err != nil {
			return err
		}
		now := s.now().UnixMilli()
		n, err := tx.Exec("UPDATE webhook_deliveries SET state = ?, head = ?, tries = tries + 1, attempts = attempts + 1, due = ?, lease = 0, version = version + 1, updated_at = ?"+
			" WHERE id = ? AND version = ?", string(next.state), flag(next.state == Pending), next.due.UnixMilli(), now, j.delivery, j.version)
		if err != nil || n == 0 {
			return err // none: its endpoint was deleted, or another has it
		}
		_, err = tx.Exec("INSERT INTO webhook_attempts (delivery, n, at, status, ms, error) VALUES (?, ?, ?, ?, ?, ?)",
			j.delivery, j.attempts+1, at.UnixMilli(), a.status, a.took.Milliseconds(), a.reason)
		if err != nil {
			return err
		}
		if err := s.affect(tx, j.to.ID, next); err != nil {
			return err
		}
		return promote(tx, j.to.ID, j.object, now)
	})
	if err != nil {
		return fmt.Errorf("webhook: settle: %w", err)
	}
	s.m.attempts.WithLabelValues(string(next.outcome)).Inc()
	if next.outcome != succeeded {
		s.d.Log.Info("webhook attempt failed", "webhook", j.to.ID, "delivery", j.delivery, "attempt", j.attempts+1, "status", a.status, "reason", a.reason, "outcome", next.outcome)
	}
	return nil
}

// affect does to the endpoint what an attempt demands.
func (s *Service) affect(tx *sqldb.Tx, id string, v verdict) error {
	if !v.gone && v.pause.IsZero() {
		return nil
	}
	e, err := readEndpoint(tx, id)
	if err != nil {
		return ignoreUnknown(err)
	}
	if v.gone && !e.Disabled {
		e.Disabled, e.Reason = true, reasonGone
		tx.AfterCommit(s.m.disabled.Inc)
	}
	if v.pause.After(e.pausedUntil) {
		e.pausedUntil = v.pause
	}
	return updateEndpoint(tx, &e, s.now())
}

// sweep removes what finished longer than Config.Keep ago.
func (s *Service) sweep(ctx context.Context) error {
	return s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		return forget(tx, "state <> ? AND updated_at < ?", string(Pending), s.now().Add(-s.cfg.Keep).UnixMilli())
	})
}
