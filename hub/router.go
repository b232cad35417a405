package hub

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"

	"parley/wire"
)

// Methods the hub answers itself; all others go to the Operations.
const (
	methodOpen      = "session.open"
	methodRefresh   = "session.refresh"
	methodHeartbeat = "heartbeat"
)

// A job is a frame's requests on their way through the session's worker.
type job struct {
	frame
	size int
}

// route takes a message apart, answers what can be answered at once, and hands
// the rest to the session's worker. It never waits, so that heartbeats and
// pings are seen while an operation takes its time.
func (s *session) route(ctx context.Context, data []byte) {
	s.tapIn(data)
	f, err := parseFrame(data, s.hub.cfg.MaxBatch)
	if err != nil {
		s.reject(err)
		return
	}
	if !f.batch && f.requests[0].method == methodHeartbeat && f.requests[0].notification() {
		s.admit(1)
		return
	}
	if retry, ok := s.admit(len(f.requests)); !ok {
		s.refuse(f, s.hub.problemRate(retry))
		return
	}
	if !s.enqueue(ctx, f, data) {
		s.refuse(f, s.hub.problemInFlight())
	}
}

// reject answers what is no frame of requests.
func (s *session) reject(err error) {
	s.count(resultInvalid)
	s.admit(1)
	s.push(textFrame(appendError(nil, null, invalid(err))))
}

// admit takes tokens for n requests. Whoever goes on after RateWarnings refusals is cut.
func (s *session) admit(n int) (retry time.Duration, ok bool) {
	cfg := &s.hub.cfg
	now := s.hub.uptime()
	s.mu.Lock()
	retry, ok = s.bucket.take(n, now, cfg.Rate, cfg.Burst)
	over := s.bucket.strikes > cfg.RateWarnings
	s.mu.Unlock()
	if over {
		s.end(endRate)
	}
	return retry, ok
}

// enqueue gives a frame to the worker, which it starts when there is none. It
// reports false when too much is under way.
func (s *session) enqueue(ctx context.Context, f frame, data []byte) bool {
	cfg := &s.hub.cfg
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage == stageEnded || s.ending.reason != "" {
		return true // the client will ask again on its next socket
	}
	if len(s.jobs) > 0 && (len(s.jobs) >= cfg.MaxInFlight || s.jobBytes+len(data) > cfg.InFlightBytes) {
		return false
	}
	if s.stage == stageNew {
		s.askLocked()
	}
	s.jobs = append(s.jobs, job{frame: f.clone(data), size: len(data)})
	s.jobBytes += len(data)
	if !s.working {
		s.working = true
		s.spawnLocked(func() { s.work(ctx) }, s.hub.crew.Load())
	}
	return true
}

// clone lets f outlive the buffer it was read into.
func (f frame) clone(data []byte) frame {
	kept := make([]byte, 0, len(data))
	keep := func(raw json.RawMessage) json.RawMessage {
		if raw == nil {
			return nil
		}
		from := len(kept)
		kept = append(kept, raw...)
		return kept[from:len(kept):len(kept)]
	}
	for i := range f.requests {
		r := &f.requests[i]
		r.id, r.params = keep(r.id), keep(r.params)
	}
	return f
}

// refuse answers every request of f with the same problem.
func (s *session) refuse(f frame, p *wire.Problem) {
	var answers [][]byte
	for i := range f.requests {
		s.count(resultRefused)
		if r := &f.requests[i]; !r.notification() {
			answers = append(answers, appendError(nil, r.id, replyError(p)))
		}
	}
	s.queueAnswer(f.batch, answers)
	s.flush()
}

// work runs the session's requests one after the other, in the order in which
// they came, until none is left.
func (s *session) work(ctx context.Context) {
	defer s.tasks.Done()
	for owes := false; ; {
		j, ok := s.nextJob()
		switch {
		case !ok && owes:
			s.flush()
			return
		case !ok:
			return
		case owes:
			s.owe()
		}
		owes = s.runJob(ctx, &j) || owes
		s.seatLive()
		s.afterJob(ctx)
	}
}

// runJob runs a frame's requests and queues the answer; it reports whether there is one.
func (s *session) runJob(ctx context.Context, j *job) (answered bool) {
	if !j.batch {
		frame := s.run(ctx, &j.requests[0], false)
		if frame != nil {
			s.queue(sealText(frame))
		}
		return frame != nil
	}
	var answers [][]byte
	for i := range j.requests {
		if b := s.run(ctx, &j.requests[i], true); b != nil {
			answers = append(answers, b[headerRoom:])
		}
	}
	return s.queueAnswer(true, answers)
}

// nextJob returns the oldest job, or ends the worker.
func (s *session) nextJob() (job, bool) {
	s.mu.Lock()
	if len(s.jobs) > 0 && s.stage != stageEnded {
		j := s.jobs[0]
		s.jobs[0] = job{}
		if s.jobs = s.jobs[1:]; len(s.jobs) == 0 {
			s.jobs = nil
		}
		s.jobBytes -= j.size
		s.mu.Unlock()
		return j, true
	}
	s.working = false
	seal := s.ending.finish && s.stage != stageEnded
	if seal {
		s.endLocked(s.hub.uptime())
	}
	s.mu.Unlock()
	if seal {
		s.flush()
	}
	return job{}, false
}

// queueAnswer queues the answers to a frame, and reports whether there are any.
func (s *session) queueAnswer(batch bool, answers [][]byte) bool {
	if len(answers) == 0 {
		return false
	}
	if !batch {
		s.queue(textFrame(answers[0]))
		return true
	}
	parts := make([][]byte, 0, 2*len(answers)+1)
	parts = append(parts, []byte("["))
	for i, a := range answers {
		if i > 0 {
			parts = append(parts, []byte(","))
		}
		parts = append(parts, a)
	}
	s.queue(textFrame(append(parts, []byte("]"))...))
	return true
}

// run answers one request, behind room for a frame's header; nil means no answer.
func (s *session) run(ctx context.Context, r *request, batch bool) []byte {
	if r.bad != nil {
		s.count(resultInvalid)
		return appendError(make([]byte, headerRoom), r.id, invalid(r.bad))
	}
	result, p := s.call(ctx, r, batch)
	switch {
	case p != nil:
		s.count(resultProblem)
	default:
		s.count(resultOK)
	}
	switch {
	case r.notification():
		return nil
	case p != nil:
		return appendError(make([]byte, headerRoom), r.id, replyError(p))
	}
	return appendResult(make([]byte, headerRoom, headerRoom+answerRoom+len(r.id)+len(result)), r.id, result)
}

// call runs one request.
func (s *session) call(ctx context.Context, r *request, batch bool) (json.RawMessage, *wire.Problem) {
	h := s.hub
	switch r.method {
	case methodHeartbeat:
		return nil, nil
	case methodOpen:
		if batch || r.id == nil {
			return nil, h.problem("session_open_alone")
		}
		return s.open(ctx, r.params)
	case methodRefresh:
		return s.refresh(ctx, r.params)
	}
	c, p := s.callerFor(r.method)
	if p != nil {
		return nil, p
	}
	c.RequestID = wire.NewID[string](wire.PrefixRequest, h.cfg.Clock.Now())
	c.TraceParent = r.trace
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	started := h.uptime()
	result, p := h.backend.Call(ctx, c, r.method, r.params)
	h.metrics.callSeconds.Observe((h.uptime() - started).Seconds())
	return result, p
}

// callerFor returns who asks, if this session may call method now.
func (s *session) callerFor(method string) (wire.Caller, *wire.Problem) {
	s.mu.Lock()
	stage, c, expires := s.stage, s.caller, s.token.expires
	s.mu.Unlock()
	switch {
	case stage != stageOpen:
		return c, s.hub.problem("session_not_open")
	case s.hub.expired(expires) && (s.hub.cfg.Grace == nil || !s.hub.cfg.Grace.Allows(method)):
		return c, s.hub.problem("token_expired")
	}
	return c, nil
}

func (s *session) count(result int) { s.hub.metrics.requests[result].Inc() }

// invalid is the JSON-RPC error of a frame or request that is none.
func invalid(err error) *wire.ReplyError {
	if errors.Is(err, errParse) {
		return &wire.ReplyError{Code: wire.CodeParse, Message: "Parse error"}
	}
	return &wire.ReplyError{Code: wire.CodeInvalidRequest, Message: "Invalid Request: " + err.Error()}
}

// replyError makes the JSON-RPC error of a problem.
func replyError(p *wire.Problem) *wire.ReplyError {
	e := &wire.ReplyError{Code: wire.CodeProblem, Message: p.Title, Data: p}
	switch p.Code {
	case "operation_unknown":
		e.Code = wire.CodeUnknownMethod
	case "invalid_params":
		e.Code = wire.CodeInvalidParams
	case "internal":
		e.Code = wire.CodeInternal
	}
	return e
}

// seconds rounds up to whole seconds, at least one.
func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
