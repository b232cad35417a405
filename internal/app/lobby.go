package app

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lobby is where connections wait that have not sent a whole request yet. It
// has room for so many; when it is full, the one that has waited longest is
// closed: whoever means it has sent the request in a moment.
type lobby struct {
	max     int // negative: no limit
	evicted prometheus.Counter
	silent  prometheus.Counter
	paused  prometheus.Counter

	mu      sync.Mutex
	waiting *list.List // of *visitor, the oldest first
	by      map[net.Conn]*visitor
}

// visitor is a connection that waits.
type visitor struct {
	conn  net.Conn
	close func()
	until time.Time // when the lobby closes it; zero: its reader knows
	place *list.Element
	asked sync.Once
}

// visitorKey is where a connection's context has its visitor.
type visitorKey struct{}

func newLobby(most int, metrics prometheus.Registerer) *lobby {
	ends := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_http_unasked_total", Help: "Connections that ended without a whole request: evicted because too many waited, or silent.",
	}, []string{"reason"})
	l := &lobby{
		max: most, waiting: list.New(), by: make(map[net.Conn]*visitor),
		evicted: ends.WithLabelValues("evicted"), silent: ends.WithLabelValues("silent"),
	}
	l.paused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "parley_http_accept_pauses_total", Help: "Times that accepting connections paused because many sessions waited to be opened."})
	metrics.MustRegister(ends, l.paused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_http_waiting", Help: "Connections that have not sent a whole request yet."},
			func() float64 { return float64(l.size()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_http_waiting_capacity", Help: "The most of them; negative: no limit."},
			func() float64 { return float64(most) }))
	return l
}

func (l *lobby) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.Len()
}

// enter takes a connection in (http.Server.ConnContext).
func (l *lobby) enter(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, visitorKey{}, l.admit(c))
}

// admit takes in a connection that somebody reads.
func (l *lobby) admit(c net.Conn) *visitor {
	v := &visitor{conn: c, close: func() { _ = rawConn(c).Close() }} // its reader notices
	l.seat(v)
	return v
}

// seat takes a visitor in.
func (l *lobby) seat(v *visitor) {
	var oldest *visitor
	l.mu.Lock()
	if l.max >= 0 && l.waiting.Len() >= l.max && l.waiting.Len() > 0 {
		oldest = l.waiting.Front().Value.(*visitor)
		l.removeLocked(oldest)
	}
	v.place = l.waiting.PushBack(v)
	l.by[v.conn] = v
	l.mu.Unlock()
	if oldest != nil {
		l.evicted.Inc()
		oldest.close()
	}
}

// expire closes those whose time was over at now.
func (l *lobby) expire(now time.Time) {
	var late []*visitor
	l.mu.Lock()
	for e := l.waiting.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*visitor); !v.until.IsZero() && v.until.Before(now) {
			late = append(late, v)
		}
	}
	l.mu.Unlock()
	for _, v := range late {
		if l.leave(v) {
			l.silent.Inc()
			v.close()
		}
	}
}

// leave lets a visitor go on; it reports whether it was still waiting.
func (l *lobby) leave(v *visitor) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.removeLocked(v)
}

// clear closes every connection that still waits.
func (l *lobby) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.by {
		v.close()
	}
}

// gone notices a visitor that will not ask.
func (l *lobby) gone(v *visitor) {
	if l.leave(v) {
		l.silent.Inc()
	}
}

// rawConn is the connection below TLS, whose closing alert might wait.
func rawConn(c net.Conn) net.Conn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return c
}

// removeLocked reports whether the visitor was still waiting.
func (l *lobby) removeLocked(v *visitor) bool {
	if v.place == nil {
		return false
	}
	l.waiting.Remove(v.place)
	delete(l.by, v.conn)
	v.place = nil
	return true
}

// state notices connections that end (http.Server.ConnState).
func (l *lobby) state(c net.Conn, s http.ConnState) {
	if s != http.StateClosed {
		return
	}
	l.mu.Lock()
	v := l.by[c]
	l.mu.Unlock()
	if v != nil {
		l.gone(v)
	}
}

// through lets requests in whose connections waited.
func (l *lobby) through(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v, ok := r.Context().Value(visitorKey{}).(*visitor); ok {
			v.asked.Do(func() { l.leave(v) })
		}
		next.ServeHTTP(w, r)
	})
}
