package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// responseMax bounds what is read of an answer, which nobody looks at, so that the connection can be used again.
const responseMax = 16 << 10

// pauseMax bounds how long an endpoint may ask to be left alone.
const pauseMax = 24 * time.Hour

// schedule is the pauses before each attempt; after the last the delivery is dead.
var schedule = []time.Duration{
	0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// answer is what came of one request.
type answer struct {
	status     int // 0: none came
	took       time.Duration
	reason     string // of a failure, see Attempt.Error
	retryAfter string
	err        error // why no answer came
}

// send makes one request.
func (s *Service) send(ctx context.Context, j job, at time.Time) answer {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	s.m.underWay.Inc()
	defer s.m.underWay.Dec()
	started := time.Now()
	a := s.exchange(ctx, j, at)
	a.took = time.Since(started)
	s.m.seconds.Observe(a.took.Seconds())
	return a
}

func (s *Service) exchange(ctx context.Context, j job, at time.Time) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.to.URL, bytes.NewReader(j.body))
	if err != nil {
		return answer{reason: "connection", err: err}
	}
	h := req.Header
	h.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	h.Set("User-Agent", "Parley-Webhooks/1")
	h.Set("Webhook-Id", j.event)
	h.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("Webhook-Signature", signature(j.to.signers(at), j.event, at, j.body))
	res, err := s.client.Do(req) //nolint:gosec // the client's dialer checks every address
	if err != nil {
		return answer{reason: reasonOf(err), err: err}
	}
	_, _ = io.CopyN(io.Discard, res.Body, responseMax) // the status says it all
	_ = res.Body.Close()                               // nothing follows
	a := answer{status: res.StatusCode, retryAfter: res.Header.Get("Retry-After")}
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		a.reason = "redirect"
	case res.StatusCode < 200 || res.StatusCode >= 300:
		a.reason = "status"
	}
	return a
}

// reasonOf classes an error without telling anything of the network behind it.
func reasonOf(err error) string {
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, errAddress):
		return "address"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &certificate), errors.As(err, &record):
		return "tls"
	default:
		return "connection"
	}
}

// outcome names what became of a delivery, in the metrics.
type outcome string

const (
	succeeded outcome = "succeeded"
	retried   outcome = "retried"
	died      outcome = "dead"
)

// verdict is what follows from an attempt.
type verdict struct {
	outcome outcome
	state   State
	due     time.Time
	gone    bool      // the endpoint is to be disabled
	pause   time.Time // the endpoint wants nothing until then; zero: it did not say
}

// decide says what follows from the answer to the tries-th attempt, which ended at now.
func (s *Service) decide(tries int64, now time.Time, a answer) verdict {
	v := verdict{outcome: died, state: Dead, due: now}
	switch {
	case a.reason == "":
		v.outcome, v.state = succeeded, Succeeded
		return v
	case a.status == http.StatusGone:
		v.gone = true
		return v
	case a.status == http.StatusTooManyRequests, a.status == http.StatusBadGateway, a.status == http.StatusGatewayTimeout:
		v.pause = retryAfter(a.retryAfter, now)
	}
	if tries >= int64(len(schedule)) {
		return v
	}
	wait := schedule[tries]
	wait += time.Duration(s.cfg.Jitter() * float64(wait) / 10)
	v.outcome, v.state, v.due = retried, Pending, now.Add(wait)
	if v.due.Before(v.pause) {
		v.due = v.pause
	}
	return v
}

// retryAfter reads the header (RFC 9110, 10.2.3); zero when there is none to be believed.
func retryAfter(text string, now time.Time) time.Time {
	until := time.Time{}
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds > 0 {
		until = now.Add(time.Duration(seconds) * time.Second)
	} else if at, err := http.ParseTime(text); err == nil && at.After(now) {
		until = at
	}
	if latest := now.Add(pauseMax); until.After(latest) {
		return latest
	}
	return until
}
