package signaling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// Log is where call records go: the numbered logs of conversations.
type Log interface {
	// Append adds an entry to conv's log in tx and announces it after commit.
	Append(tx *sqldb.Tx, conv wire.ConversationID, e wire.Entry) (wire.Event, error)
	// Direct returns the conversation of just a and b, made if need be.
	Direct(tx *sqldb.Tx, a, b wire.UserID) (wire.ConversationID, error)
}

// Relations tells who may ring whom.
type Relations interface {
	// Related reports whether a may ring b: b has let a in, and does not keep a away.
	Related(ctx context.Context, a, b wire.UserID) (bool, error)
}

// Rooms tells who is in a conversation.
type Rooms interface {
	// Members returns the members of conv; ErrConversationUnknown when there is no such conversation.
	Members(ctx context.Context, conv wire.ConversationID) ([]wire.UserID, error)
}

// PaymentFacts is what a call needs to know of a payment.
type PaymentFacts struct {
	Payer, Payee wire.UserID
	Conversation wire.ConversationID // empty: none
}

// Payments links calls to payments.
type Payments interface {
	// Payment returns the facts; ErrPaymentUnknown when there is no such payment.
	Payment(ctx context.Context, id wire.PaymentID) (PaymentFacts, error)
	// Review puts the payment into review in tx, for reason; nothing to review is no error.
	Review(tx *sqldb.Tx, id wire.PaymentID, reason string) error
}

// ICEServer is an entry of RTCConfiguration.iceServers.
type ICEServer struct {
	URLs       []string `json:"urls" doc:"stun:, turn: and turns: URLs"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// ICE hands out relay servers with credentials bound to a call and a user.
type ICE interface {
	Servers(call wire.CallID, user wire.UserID, relayOnly bool) []ICEServer
}

// Slot is one of the preallocated audio sections of a joined peer.
type Slot struct {
	Mid  string      `json:"mid" doc:"media section of the answer"`
	User wire.UserID `json:"user,omitempty" doc:"who is heard there; absent while free"`
}

// Room is the media servers of all nodes as calls need them. Leave, Close and
// Mute are idempotent and reach whichever node has the room; Close is called at the end of every call, direct ones included,
// so that what their relays hold can be let go.
type Room interface {
	// Host says which node shall hold a call's room: the one that does so now, as
	// long as it can, else another. now is empty before there is a room. ErrNoSFU:
	// there is none that can.
	Host(ctx context.Context, now string) (node string, err error)
	// Join answers the offer of a device that joins the room on node.
	Join(ctx context.Context, node string, call wire.CallID, user wire.UserID, device wire.DeviceID, sdp string) (answer string, slots []Slot, err error)
	Leave(call wire.CallID, user wire.UserID, device wire.DeviceID)
	Close(call wire.CallID)
	Mute(call wire.CallID, user wire.UserID, muted bool)
	// Play plays a prompt by name to everybody in the room on node.
	Play(ctx context.Context, node string, call wire.CallID, prompt string) error
}

// Cards signs who calls, about what.
type Cards interface {
	Sign(ctx context.Context, from, to wire.UserID, payment wire.PaymentID) (jws string, err error)
}

// Presence is told who is in a call.
type Presence interface {
	SetInCall(user wire.UserID, in bool)
}

// Deps is what a Service stands on. DB, Publisher, Log, Relations, Rooms and
// Payments are needed; without the others there are no relay servers, no SFU,
// no caller cards and no in-call presence.
type Deps struct {
	DB        *sqldb.DB
	Publisher wire.Publisher
	Log       Log
	Relations Relations
	Rooms     Rooms
	Payments  Payments
	ICE       ICE
	SFU       Room
	Cards     Cards
	Presence  Presence
	Clock     clock.Clock           // nil: the machine's
	Logger    *slog.Logger          // nil: silent
	Metrics   prometheus.Registerer // nil: not registered
}

// Config of a Service; the zero value works.
type Config struct {
	// SweepEvery is how often deadlines are looked at. 0 means 200 ms.
	SweepEvery time.Duration
}

// Service is the calls of a hub. Its methods are safe for concurrent use, on
// any number of nodes over one database.
type Service struct {
	Deps
	cfg     Config
	metrics *metrics
	roll    roll

	mu    sync.Mutex // guards dirty
	dirty map[wire.UserID]bool
	wake  chan struct{} // holds one token while dirty is not empty
}

// New returns a Service. Call Run to serve deadlines.
func New(deps Deps, cfg Config) *Service {
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = 200 * time.Millisecond
	}
	if deps.Clock == nil {
		deps.Clock = clock.System{}
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Deps: deps, cfg: cfg, metrics: newMetrics(deps.Metrics),
		dirty: map[wire.UserID]bool{}, wake: make(chan struct{}, 1),
	}
}

// conflictTries bounds how often a change runs again because another node was faster.
const conflictTries = 10

// origin is where a change comes from, for what goes out with it.
type origin struct {
	session wire.SessionID // has its answer already
	sdp     string         // offer that goes out with an answer; kept nowhere
}

// change loads a call, applies cmd and stores the result, all in one transaction.
func (s *Service) change(ctx context.Context, id wire.CallID, cmd Command, from origin) (Call, error) {
	var before, after Call
	var effects []Effect
	keys := []string{"call:" + string(id)}
	if cmd.Action == ActAnswer {
		keys = append(keys, "talk:"+string(cmd.By.User))
	}
	err := s.transact(ctx, func(tx *sqldb.Tx, now time.Time) (err error) {
		if err := tx.Lock(keys...); err != nil {
			return err
		}
		if before, err = load(tx, id); err != nil {
			return err
		}
		after, effects, err = s.applyIn(tx, before, cmd, now, from)
		return err
	})
	if err != nil {
		return before, err
	}
	s.carryOut(after, effects)
	return after, nil
}

// transact runs fn until nobody else was faster.
func (s *Service) transact(ctx context.Context, fn func(tx *sqldb.Tx, now time.Time) error) error {
	var err error
	for range conflictTries {
		err = s.DB.Update(ctx, func(tx *sqldb.Tx) error { return fn(tx, stamp(s.Clock.Now())) })
		if !errors.Is(err, errConflict) {
			return err
		}
		s.metrics.conflicts.Inc()
	}
	return fmt.Errorf("signaling: %w", err)
}

// applyIn applies cmd to c and stores what changed.
func (s *Service) applyIn(tx *sqldb.Tx, c Call, cmd Command, now time.Time, from origin) (Call, []Effect, error) {
	next, effects, err := c.Apply(cmd, now)
	if err != nil {
		return c, nil, err
	}
	if next.Version == c.Version && len(effects) == 0 {
		return next, nil, nil
	}
	if cmd.Action == ActAnswer {
		if _, busy, err := presentElsewhere(tx, cmd.By.User, c.ID); err != nil || busy {
			return c, nil, errors.Join(err, when(busy, ErrInCall))
		}
	}
	if err := update(tx, c, next, now); err != nil {
		return c, nil, err
	}
	s.roll.note(tx, c, next)
	if err := s.record(tx, next, effects, now); err != nil {
		return c, nil, err
	}
	tx.AfterCommit(func() { s.announce(tx.Context(), next, effects, now, from) })
	return next, effects, nil
}

func when(cond bool, err error) error {
	if cond {
		return err
	}
	return nil
}

// carryOut does, after commit and outside of it, what may take a moment.
func (s *Service) carryOut(c Call, effects []Effect) {
	for _, e := range effects {
		switch {
		case s.SFU == nil:
		case e.Kind == EffLeaveRoom:
			s.SFU.Leave(c.ID, e.User, e.Device)
		case e.Kind == EffMuteRoom:
			s.SFU.Mute(c.ID, e.User, e.Muted)
		case e.Kind == EffCloseRoom:
			s.SFU.Close(c.ID)
		}
	}
	if len(effects) > 0 {
		s.presenceOf(c)
	}
}
