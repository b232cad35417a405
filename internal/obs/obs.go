// Package obs makes a node's logger and metrics registry. It knows no feature;
// each part registers its own metrics on the registry it is handed.
package obs

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewLogger makes a logger of the given level (debug, info, warn, error) and format (text, json).
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("obs: log level %q: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("obs: log format %q: want text or json", format)
}

// NewRegistry makes a registry with the process's and Go's own metrics.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// MetricsHandler serves the registry in Prometheus' format.
func MetricsHandler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r})
}

// A Problem is one refused or failed call, as operators see it: never with
// what the caller sent.
type Problem struct {
	Time      time.Time `json:"time"`
	Code      string    `json:"code"`
	Status    int       `json:"status"`
	Operation string    `json:"operation"`
	RequestID string    `json:"request_id"`
}

// Recent keeps the newest problems. The zero value keeps 100.
type Recent struct {
	mu       sync.Mutex
	problems [100]Problem
	next     int
	full     bool
}

// Add remembers p and forgets the oldest when full.
func (r *Recent) Add(p Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems[r.next] = p
	r.next = (r.next + 1) % len(r.problems)
	r.full = r.full || r.next == 0
}

// List returns the problems, newest first.
func (r *Recent) List() []Problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.next
	if r.full {
		n = len(r.problems)
	}
	list := make([]Problem, 0, n)
	for i := 1; i <= n; i++ {
		list = append(list, r.problems[(r.next-i+len(r.problems))%len(r.problems)])
	}
	return list
}
