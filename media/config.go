package media

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
)

// Bounds that no configuration lifts.
const (
	maxSlots = 12 // receive-only sections in one offer
	// frame is the length of an Opus packet of a prompt, and its clock ticks at 48 kHz.
	frame      = 20 * time.Millisecond
	frameTicks = 960
)

// Config of an SFU. The zero value works on one machine, for tests and development.
type Config struct {
	// Addr is the UDP address that all participants share, default
	// "127.0.0.1:0". A host of 0.0.0.0 or :: means every address of the
	// machine, one socket each, with the same port. One shared port is what a
	// firewall rule wants, and what a container can publish.
	Addr string
	// PortMin and PortMax, when set, give each participant a socket of its own in
	// this range instead of the shared one. It costs a few per cent less CPU, and
	// ports: two participants never share one.
	PortMin, PortMax uint16
	// Announce lists the addresses that clients should send to instead of the
	// bound one, for a machine behind 1:1 NAT: one of each family.
	Announce []string
	// FullICE makes the server send connectivity checks of its own. Only for
	// measuring: an ICE-lite server needs none and connects sooner.
	FullICE bool
	// MaxParticipants bounds a room, default and maximum 13: twelve slots and oneself.
	MaxParticipants int
	// MaxPrompts bounds the prompts that play or wait in one room, default 4.
	MaxPrompts int
	// Disconnected is how long nothing may come from a participant before it is
	// reported, default 5 s. Failed is how long after that it is taken out of the
	// room, default 15 s.
	Disconnected, Failed time.Duration
	// Connect is how long a participant may take from its Join to be connected
	// before it is taken out of the room, default 30 s.
	Connect time.Duration
}

// Deps are what an SFU needs of others. All may be nil.
type Deps struct {
	Observer Observer
	Clock    clock.Clock
	Logger   *slog.Logger
	Metrics  prometheus.Registerer
}

func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Addr, "127.0.0.1:0")
	setDefault(&c.MaxParticipants, maxSlots+1)
	setDefault(&c.MaxPrompts, 4)
	setDefault(&c.Disconnected, 5*time.Second)
	setDefault(&c.Failed, 15*time.Second)
	setDefault(&c.Connect, 30*time.Second)
	if c.MaxParticipants < 1 || c.MaxParticipants > maxSlots+1 {
		return c, fmt.Errorf("media: max participants must be 1 to %d", maxSlots+1)
	}
	if c.PortMin > c.PortMax || (c.PortMin == 0) != (c.PortMax == 0) {
		return c, fmt.Errorf("media: port range %d to %d is empty", c.PortMin, c.PortMax)
	}
	for _, a := range c.Announce {
		if _, err := netip.ParseAddr(a); err != nil {
			return c, fmt.Errorf("media: announced address: %w", err)
		}
	}
	return c, nil
}

func (d Deps) withDefaults() Deps {
	if d.Observer == nil {
		d.Observer = silent{}
	}
	if d.Clock == nil {
		d.Clock = clock.System{}
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
