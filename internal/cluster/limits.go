package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"parley/internal/clock"
)

// A Rate allows Count in any row, and then one each time a Count-th part of Per has passed.
type Rate struct {
	Count int
	Per   time.Duration
}

// Limiter counts. Its methods may be called from many goroutines.
type Limiter interface {
	// Take takes one of what rate allows for key, and answers 0, or answers how
	// long to wait and takes nothing.
	Take(ctx context.Context, key string, rate Rate) time.Duration
}

// A limiter keeps one number per key: the time at which all that was taken is
// paid off (the theoretical arrival time of GCRA, ITU-T I.371). step is what
// one costs, and what is owed may not exceed Per.

// spend is that arithmetic, in microseconds: paid is the number kept, 0 for none.
func spend(paid, now int64, rate Rate) (next, wait int64) {
	per := rate.Per.Microseconds()
	step := per / int64(rate.Count)
	next = max(paid, now) + step
	if over := next - now - per; over > 0 {
		return paid, over
	}
	return next, 0
}

// Counts is the Limiter of one node. Its zero value needs a Clock.
type Counts struct {
	Clock clock.Clock

	mu    sync.Mutex
	paid  map[string]int64
	prune int // how many keys there may be before the paid off are dropped
}

// pruneMin is how many keys are kept without looking which are over.
const pruneMin = 1024

// Take implements Limiter.
func (c *Counts) Take(_ context.Context, key string, rate Rate) time.Duration {
	now := c.Clock.Now().UnixMicro()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paid == nil {
		c.paid, c.prune = map[string]int64{}, pruneMin
	}
	next, wait := spend(c.paid[key], now, rate)
	if wait > 0 {
		return time.Duration(wait) * time.Microsecond
	}
	c.paid[key] = next
	if len(c.paid) > c.prune {
		for k, paid := range c.paid {
			if paid <= now {
				delete(c.paid, k)
			}
		}
		c.prune = max(pruneMin, 2*len(c.paid))
	}
	return 0
}

// SharedCounts is the Limiter of several nodes. While Redis does not answer,
// each node counts for itself.
type SharedCounts struct {
	client redis.UniversalClient
	prefix string
	alone  *Counts
	fails  prometheus.Counter
	clock  clock.Clock

	mu    sync.Mutex
	until time.Time // Redis is not asked before
}

// NewSharedCounts counts on Redis under keys that begin with prefix; reg may be nil.
func NewSharedCounts(client redis.UniversalClient, prefix string, clk clock.Clock, reg prometheus.Registerer) *SharedCounts {
	s := &SharedCounts{
		client: client, prefix: prefix + "limit:", alone: &Counts{Clock: clk}, clock: clk,
		fails: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_limits_alone_total",
			Help: "Limited requests counted on this node only, because Redis did not answer."}),
	}
	if reg != nil {
		reg.MustRegister(s.fails)
	}
	return s
}

// takeScript is spend on the clock of Redis.
var takeScript = redis.NewScript(`
local count, per = tonumber(ARGV[1]), tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local nxt = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + math.floor(per / count)
local over = nxt - now - per
if over > 0 then return over end
redis.call('SET', KEYS[1], string.format('%.0f', nxt), 'PX', math.ceil((nxt - now) / 1000))
return 0
`)

// Bounds of waiting for Redis: a limit must not make requests slow.
const (
	askTime  = 250 * time.Millisecond
	restTime = time.Second // after a failure
)

// Take implements Limiter.
func (s *SharedCounts) Take(ctx context.Context, key string, rate Rate) time.Duration {
	if wait, ok := s.ask(ctx, key, rate); ok {
		return wait
	}
	s.fails.Inc()
	return s.alone.Take(ctx, key, rate)
}

func (s *SharedCounts) ask(ctx context.Context, key string, rate Rate) (time.Duration, bool) {
	now := s.clock.Now()
	s.mu.Lock()
	resting := now.Before(s.until)
	s.mu.Unlock()
	if resting {
		return 0, false
	}
	asked, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	wait, err := takeScript.Run(asked, s.client, []string{s.prefix + key}, rate.Count, rate.Per.Microseconds()).Int64()
	if err == nil {
		return time.Duration(wait) * time.Microsecond, true
	}
	if ctx.Err() == nil {
		s.mu.Lock()
		s.until = now.Add(restTime)
		s.mu.Unlock()
	}
	return 0, false
}

// ErrRule says that a text is no limit.
var ErrRule = errors.New("cluster: a limit is written as in: messages.send user 1200/1m")

// Scopes say what a limit counts by.
const (
	PerUser   = "user"
	PerDevice = "device"
	PerIP     = "ip"
)

// A Rule limits an operation, or all that begin with a word ("passkeys.*"), per scope.
type Rule struct {
	Operation string
	Per       string
	Rate      Rate
}

// ParseRule reads "operation scope count/duration". Errors wrap ErrRule.
func ParseRule(text string) (Rule, error) {
	parts := strings.Fields(text)
	if len(parts) != 3 {
		return Rule{}, fmt.Errorf("%w, not %q", ErrRule, text)
	}
	r := Rule{Operation: parts[0], Per: parts[1]}
	count, per, _ := strings.Cut(parts[2], "/")
	var err1, err2 error
	r.Rate.Count, err1 = strconv.Atoi(count)
	r.Rate.Per, err2 = time.ParseDuration(per)
	known := r.Per == PerUser || r.Per == PerDevice || r.Per == PerIP
	if err1 != nil || err2 != nil || !known || r.Rate.Count < 1 || r.Rate.Per.Microseconds() < int64(r.Rate.Count) || r.Rate.Per > 24*time.Hour {
		return Rule{}, fmt.Errorf("%w, not %q", ErrRule, text)
	}
	return r, nil
}

func (r Rule) covers(operation string) bool {
	if family, ok := strings.CutSuffix(r.Operation, "*"); ok {
		return strings.HasPrefix(operation, family)
	}
	return r.Operation == operation
}

// Guard applies rules.
type Guard struct {
	rules   []Rule
	counts  Limiter
	refused *prometheus.CounterVec

	found atomic.Pointer[map[string][]Rule] // by operation; replaced, never changed
}

// NewGuard makes a guard of rules as ParseRule reads them; reg may be nil.
func NewGuard(texts []string, counts Limiter, reg prometheus.Registerer) (*Guard, error) {
	g := &Guard{counts: counts,
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_limits_refused_total", Help: "Requests over a limit, by rule."}, []string{"rule"})}
	for _, text := range texts {
		r, err := ParseRule(text)
		if err != nil {
			return nil, err
		}
		g.rules = append(g.rules, r)
		g.refused.WithLabelValues(r.name())
	}
	if reg != nil {
		reg.MustRegister(g.refused)
	}
	return g, nil
}

func (r Rule) name() string { return r.Operation + " " + r.Per }

// Who is what a limit may count by; an empty part is not counted.
type Who struct{ User, Device, IP string }

func (w Who) key(scope string) string {
	switch scope {
	case PerUser:
		return w.User
	case PerDevice:
		if w.Device != "" {
			return w.User + " " + w.Device
		}
		return ""
	}
	return w.IP
}

// Allow counts one more operation of who, and answers 0 or how long to wait.
func (g *Guard) Allow(ctx context.Context, operation string, who Who) time.Duration {
	for _, r := range g.rulesFor(operation) {
		key := who.key(r.Per)
		if key == "" {
			continue
		}
		if wait := g.counts.Take(ctx, r.name()+" "+key, r.Rate); wait > 0 {
			g.refused.WithLabelValues(r.name()).Inc()
			return wait
		}
	}
	return 0
}

// rulesFor finds the rules of an operation, once. Operations are few.
func (g *Guard) rulesFor(operation string) []Rule {
	known := g.found.Load()
	if known != nil {
		if rules, ok := (*known)[operation]; ok {
			return rules
		}
	}
	var rules []Rule
	for _, r := range g.rules {
		if r.covers(operation) {
			rules = append(rules, r)
		}
	}
	more := map[string][]Rule{operation: rules}
	if known != nil {
		maps.Copy(more, *known)
	}
	g.found.CompareAndSwap(known, &more) // who loses finds them again
	return rules
}
