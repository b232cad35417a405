package hub

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/wire"
)

// Config configures a Hub; its zero value works.
type Config struct {
	// Origins are the web origins that may connect, as patterns of path.Match
	// over "host[:port]" or "scheme://host[:port]". The page's own host is always
	// allowed, and so are clients that send no Origin. "*" allows every page:
	// safe only because a session needs a token that other pages do not have.
	Origins []string
	// ClientAddr finds the client's address, for example in a header set by a
	// trusted proxy. Default: the connection's own.
	ClientAddr func(*http.Request) netip.Addr
	// BaseURL begins the type URLs of problems.
	BaseURL string
	// Compression takes up permessage-deflate (RFC 7692) where a client offers it,
	// without context takeover.
	Compression bool

	// MaxFrame is the largest message a client may send, in bytes, compressed or not; larger ones
	// close with 1009. Default 80 KiB: 64 KiB for the data of one signal, which
	// may hold a session description, and 16 KiB for what surrounds and escapes it.
	MaxFrame int
	// MaxBatch is the most requests of one batch. Default 50.
	MaxBatch int
	// MaxInFlight is the most frames of a session that wait for answers; more are
	// refused with too_many_in_flight. Default 32.
	MaxInFlight int
	// InFlightBytes bounds the same in bytes; one frame is always taken. Default 256 KiB.
	InFlightBytes int
	// CallTimeout bounds one operation. Default 30 s.
	CallTimeout time.Duration

	// Rate is how many requests a second a session may send on average, Burst how
	// many at once. Refused ones get rate_limited with retry_after; after
	// RateWarnings of them without a pause the session is closed with 4029.
	// Defaults 20, 100 and 50.
	Rate         float64
	Burst        int
	RateWarnings int

	// MaxPerAddr is the most sockets of one IPv4 address or IPv6 /64, default
	// 1000; MaxPerUser the most sessions of one user on this node, default 20;
	// MaxSockets the most of all, default 100000; MaxUnopened the most that have
	// not opened a session, default 16384. Negative means no limit.
	MaxPerAddr, MaxPerUser, MaxSockets, MaxUnopened int

	// OpenTimeout is how long a client may take to send session.open. Default 5 s.
	OpenTimeout time.Duration
	// Heartbeat is the interval between heartbeats, default 25 s. A client from
	// which nothing came for two and a half intervals is gone.
	Heartbeat time.Duration
	// HeadsEvery is how often a session's positions are compared with the log's
	// heads, at heartbeats, so that a lost publication is found even when none
	// follows. Default: at every heartbeat. A bus that lost something asks sooner.
	HeadsEvery time.Duration

	// QueueBytes bounds what waits for one slow socket, QueueAge for how long;
	// over either it is closed with 4008 and resumes. Defaults 1 MiB and 10 s.
	QueueBytes int
	QueueAge   time.Duration
	// TotalQueueBytes bounds what waits for all slow sockets of the node; over it,
	// sockets with more than 64 KiB waiting are closed with 4008. Default 256 MiB.
	TotalQueueBytes int64
	// CloseTimeout is how long a client may take to answer a close frame. Default 5 s.
	CloseTimeout time.Duration

	// ResumeMax is the most entries of one conversation that resuming sends,
	// default 500; ResumeTotal the most of all conversations, default 5000.
	// Conversations with more have a gap.
	ResumeMax, ResumeTotal int
	// TokenNotice is how long before its token expires a session is sent the
	// signal session.expiring. Default 60 s.
	TokenNotice time.Duration
	// Grace may let sessions outlive their token; nil for no grace.
	Grace Grace

	// RetryAfterDrain is the longest delay told to clients of a draining node;
	// each gets a random part of it. Default 5 s.
	RetryAfterDrain time.Duration

	// Streams keeps what is published to open topics; nil: what the bus loses is told as a gap.
	Streams Streams
	// MayJoin tells which open topics a caller may hear of, asked when a token is
	// replaced; nil: all.
	MayJoin func(c wire.Caller, topic string) bool

	Observers []Observer
	// SignedOut tells whether a device's tokens that were issued then are
	// withdrawn: the token of a session need not name its device. nil: none are.
	SignedOut func(user wire.UserID, device wire.DeviceID, issued time.Time) bool
	// Node is this node's name among the others, for TellNode and for streams
	// whose requests reach several nodes; empty: there are no others.
	Node string
	// StreamSecret is what the tickets and keys of event streams are made of, the
	// same on all nodes. Empty: a hub's own, so that a stream's requests must all
	// reach the same node.
	StreamSecret []byte
	// OnTold takes what TellNodes was given on any node, this one included, and
	// TellNode on any for this one. It
	// must not block; nil ignores it.
	OnTold func(body []byte)
	// Clock tells when tokens expire. Heartbeats, timeouts and ages follow the machine.
	Clock clock.Clock
	// Metrics takes the hub's metrics; nil for none.
	Metrics prometheus.Registerer
	// Log; nil discards.
	Log *slog.Logger
}

// withDefaults fills in the fields that are zero.
func (c Config) withDefaults() Config {
	def(&c.MaxFrame, 80<<10)
	def(&c.MaxBatch, 50)
	def(&c.MaxInFlight, 32)
	def(&c.InFlightBytes, 256<<10)
	def(&c.CallTimeout, 30*time.Second)
	def(&c.Rate, 20)
	def(&c.Burst, 100)
	def(&c.RateWarnings, 50)
	def(&c.MaxPerAddr, 1000)
	def(&c.MaxPerUser, 20)
	def(&c.MaxSockets, 100_000)
	def(&c.MaxUnopened, 16_384)
	def(&c.OpenTimeout, 5*time.Second)
	def(&c.Heartbeat, 25*time.Second)
	def(&c.QueueBytes, 1<<20)
	def(&c.QueueAge, 10*time.Second)
	def(&c.TotalQueueBytes, 256<<20)
	def(&c.CloseTimeout, 5*time.Second)
	def(&c.ResumeMax, 500)
	def(&c.ResumeTotal, 5000)
	def(&c.TokenNotice, time.Minute)
	def(&c.RetryAfterDrain, 5*time.Second)
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.ClientAddr == nil {
		c.ClientAddr = remoteAddr
	}
	return c
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
