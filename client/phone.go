package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"parley/wire"
)

// reportEvery is how often a device in a call tells the server that it hears the other side.
const reportEvery = 2 * time.Second

// CallState is the server's record of a call, as far as the client needs it.
type CallState struct {
	ID           wire.CallID         `json:"id"`
	Conversation wire.ConversationID `json:"conversation"`
	Payment      wire.PaymentID      `json:"payment"`
	Kind         string              `json:"kind"`
	Media        string              `json:"media"`
	State        string              `json:"state"`
	Reason       string              `json:"reason"`
	Verified     string              `json:"verified"`
	Transcript   string              `json:"transcript"`
	RelayOnly    bool                `json:"relay_only"`
	From         struct {
		User   wire.UserID   `json:"user"`
		Device wire.DeviceID `json:"device"`
	} `json:"from"`
	Participants []struct {
		User  wire.UserID `json:"user"`
		State string      `json:"state"`
	} `json:"participants"`
}

// grant answers calls.start, calls.answer and calls.join.
type grant struct {
	Call       CallState   `json:"call"`
	ICEServers []ICEServer `json:"ice_servers"`
	SDP        string      `json:"sdp"`
}

// DirectCall is this device's end of a call between two people: it exchanges
// descriptions and candidates over the socket, proves the keys, and reports.
// Feed it the call's events with Handle; Close ends its media.
type DirectCall struct {
	conn   atomic.Pointer[Conn] // replaced by Move
	caller bool
	opts   DirectOptions
	grant  grant
	tasks  chan func() error // worked off in order by run; full means that the call is lost
	stop   context.CancelFunc
	wg     sync.WaitGroup

	heard atomic.Int64 // packets received
	voice atomic.Pointer[Voice]

	connected chan struct{}
	proved    chan struct{} // closed after transcript is set
	failed    chan struct{} // closed after err is set

	connectOnce, failOnce sync.Once
	transcript            string
	err                   error

	// owned by run
	verify *verification
	other  wire.UserID
	early  []func() error // signals that came before the descriptions
}

// taskMax bounds the signals that wait for their turn.
const taskMax = 256

// DirectOptions of a DirectCall.
type DirectOptions struct {
	// RelayOnly shows no address of this device.
	RelayOnly bool
	// OnAudio receives the other side's packets.
	OnAudio func(*rtp.Packet)
	// OnFirstAudio is called with the first packet.
	OnFirstAudio func()
	// Certificate is kept per device. nil makes one.
	Certificate *webrtc.Certificate
}

func newDirect(conn *Conn, caller bool, g grant, opts DirectOptions) *DirectCall {
	ctx, stop := context.WithCancel(context.Background())
	c := &DirectCall{
		caller: caller, opts: opts, grant: g, stop: stop, tasks: make(chan func() error, taskMax),
		connected: make(chan struct{}), proved: make(chan struct{}), failed: make(chan struct{}),
		other: g.Call.From.User,
	}
	c.conn.Store(conn)
	c.wg.Go(func() { c.run(ctx) })
	return c
}

// Move makes the call go on over another socket of the same device, after the
// one it was made on broke. Media is not touched.
func (c *DirectCall) Move(conn *Conn) { c.conn.Store(conn) }

// run works off the tasks in order and reports once connected, until Close.
func (c *DirectCall) run(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	connected, before := c.connected, int64(-1)
	for {
		select {
		case task := <-c.tasks:
			if err := task(); err != nil {
				c.fail(err)
			}
		case <-connected:
			connected = nil
			_ = c.conn.Load().Call(ctx, "calls.connected", map[string]any{"call": c.ID(), "route": c.Route()}, nil) // the next report tells too
			before = c.report(ctx, before)
		case <-tick.C:
			if connected == nil {
				before = c.report(ctx, before)
			}
		case <-ctx.Done():
			if v := c.voice.Load(); v != nil {
				_ = v.Close() // nothing to save
			}
			return
		}
	}
}

// report tells the server whether packets came since the last report.
func (c *DirectCall) report(ctx context.Context, before int64) (now int64) {
	now = c.heard.Load()
	_ = c.conn.Load().Call(ctx, "calls.report", map[string]any{"call": c.ID(), "alive": now > before}, nil) // a lost report is followed by the next
	return now
}

// StartCall rings. params are those of calls.start.
func StartCall(ctx context.Context, conn *Conn, params map[string]any, opts DirectOptions) (*DirectCall, error) {
	var g grant
	if err := conn.Call(ctx, "calls.start", params, &g); err != nil {
		return nil, err
	}
	return newDirect(conn, true, g, opts), nil
}

// AnswerCall answers a ringing call and offers media.
func AnswerCall(ctx context.Context, conn *Conn, call wire.CallID, opts DirectOptions) (*DirectCall, error) {
	var g grant
	if err := conn.Call(ctx, "calls.answer", map[string]any{"call": call}, &g); err != nil {
		return nil, err
	}
	c := newDirect(conn, false, g, opts)
	c.work(c.offer)
	return c, nil
}

// ID of the call.
func (c *DirectCall) ID() wire.CallID { return c.grant.Call.ID }

// Heard counts the packets received so far.
func (c *DirectCall) Heard() int64 { return c.heard.Load() }

// Say sends one 20 ms Opus frame once connected.
func (c *DirectCall) Say(frame []byte) error {
	v := c.voice.Load()
	if v == nil {
		return errors.New("client: not connected yet")
	}
	return v.WriteOpus(frame)
}

// Route tells how the media goes: "direct" or "relay".
func (c *DirectCall) Route() string {
	if v := c.voice.Load(); v != nil {
		return v.Route()
	}
	return ""
}

// WaitConnected returns when media can flow.
func (c *DirectCall) WaitConnected(ctx context.Context) error { return c.wait(ctx, c.connected) }

// WaitProved returns the transcript when both ends have shown their keys.
func (c *DirectCall) WaitProved(ctx context.Context) (transcript string, err error) {
	if err := c.wait(ctx, c.proved); err != nil {
		return "", err
	}
	return c.transcript, nil
}

func (c *DirectCall) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-c.failed:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Verify tells the server whether the people found their words ("match" or
// "differ"). Call it after WaitProved.
func (c *DirectCall) Verify(ctx context.Context, result string) error {
	return c.conn.Load().Call(ctx, "calls.verify", map[string]any{"call": c.ID(), "transcript": c.transcript, "result": result}, nil)
}

// Close ends the media and waits for what the call had started. It does not hang up.
func (c *DirectCall) Close() {
	c.stop()
	c.wg.Wait()
}

// Handle takes an event of the socket; it returns at once.
func (c *DirectCall) Handle(ev wire.Event) {
	var data struct {
		Call json.RawMessage `json:"call"`
		SDP  string          `json:"sdp"`
		By   struct {
			User wire.UserID `json:"user"`
		} `json:"by"`
		Kind string          `json:"kind"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(ev.Data, &data); err != nil || callID(data.Call) != c.ID() {
		return
	}
	switch ev.Type {
	case "call.answered":
		c.work(func() error {
			if c.caller {
				c.other = data.By.User
			}
			if c.caller && data.SDP != "" {
				return c.takeOffer(data.SDP)
			}
			return nil
		})
	case "call.signal":
		c.signal(data.Kind, data.Data)
	case "call.ended":
		c.fail(fmt.Errorf("%w: the call ended", ErrClosed))
	}
}

// callID reads a call reference that is an id or a call record.
func callID(raw json.RawMessage) wire.CallID {
	var id wire.CallID
	if json.Unmarshal(raw, &id) == nil {
		return id
	}
	var record CallState
	if json.Unmarshal(raw, &record) == nil {
		return record.ID
	}
	return ""
}

func (c *DirectCall) signal(kind string, data json.RawMessage) {
	var sdp struct {
		SDP string `json:"sdp"`
	}
	var keys keyMessage
	var candidate webrtc.ICECandidateInit
	switch kind {
	case "offer", "answer":
		if json.Unmarshal(data, &sdp) != nil {
			return
		}
		c.work(func() error {
			if kind == "offer" {
				return c.takeOffer(sdp.SDP)
			}
			return c.takeAnswer(sdp.SDP)
		})
	case "candidate":
		if json.Unmarshal(data, &candidate) == nil {
			c.later(func() error { return c.voice.Load().Candidate(candidate) })
		}
	case "commit", "nonce", "reveal":
		if json.Unmarshal(data, &keys) == nil {
			c.later(func() error { return c.takeKeys(kind, keys) })
		}
	}
}

// work queues f for run.
func (c *DirectCall) work(f func() error) {
	select {
	case c.tasks <- f:
	default:
		c.fail(errors.New("client: too many signals at once"))
	}
}

// later runs f once the descriptions are there.
func (c *DirectCall) later(f func() error) {
	c.work(func() error {
		if c.verify == nil {
			c.early = append(c.early, f)
			return nil
		}
		return f()
	})
}

func (c *DirectCall) makeVoice() error {
	v, err := NewVoice(VoiceOptions{
		ICEServers: c.grant.ICEServers, RelayOnly: c.opts.RelayOnly, Certificate: c.opts.Certificate,
		OnCandidate: func(i webrtc.ICECandidateInit) { c.send("candidate", i) },
		OnAudio: func(_ string, p *rtp.Packet) {
			if c.heard.Add(1) == 1 && c.opts.OnFirstAudio != nil {
				c.opts.OnFirstAudio()
			}
			if c.opts.OnAudio != nil {
				c.opts.OnAudio(p)
			}
		},
		OnConnected: func() { c.connectOnce.Do(func() { close(c.connected) }) },
	})
	if err != nil {
		return err
	}
	c.voice.Store(v)
	return nil
}

// offer is the answering device's first description.
func (c *DirectCall) offer() error {
	if err := c.makeVoice(); err != nil {
		return err
	}
	sdp, err := c.voice.Load().Offer(false)
	if err != nil {
		return err
	}
	c.send("offer", map[string]string{"sdp": sdp})
	return nil
}

// takeOffer is the caller's: answer, then commit.
func (c *DirectCall) takeOffer(sdp string) error {
	if !c.caller {
		return errors.New("client: an offer from the caller")
	}
	if c.voice.Load() == nil {
		if err := c.makeVoice(); err != nil {
			return err
		}
	}
	answer, err := c.voice.Load().Answer(sdp)
	if err != nil {
		return err
	}
	c.send("answer", map[string]string{"sdp": answer})
	return c.beginVerification()
}

func (c *DirectCall) takeAnswer(sdp string) error {
	if c.caller || c.voice.Load() == nil {
		return errors.New("client: an answer out of turn")
	}
	if err := c.voice.Load().Accept(sdp); err != nil {
		return err
	}
	return c.beginVerification()
}

func (c *DirectCall) beginVerification() error {
	local, remote, err := c.voice.Load().Fingerprints()
	if err != nil {
		return err
	}
	if c.verify == nil {
		c.verify = &verification{caller: c.caller, own: local, remote: remote, send: c.send, done: c.takeProof}
		c.verify.begin()
	}
	early := c.early
	c.early = nil
	for _, f := range early {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (c *DirectCall) takeKeys(kind string, m keyMessage) error { return c.verify.take(kind, m) }

func (c *DirectCall) takeProof(nonceA, nonceB []byte) {
	v := c.verify
	p := Proof{Call: string(c.ID()), NonceA: nonceA, NonceB: nonceB}
	me := string(c.conn.Load().Opened().User)
	if c.caller {
		p.UserA, p.UserB, p.FpA, p.FpB = me, string(c.other), v.own, v.remote
	} else {
		p.UserA, p.UserB, p.FpA, p.FpB = string(c.other), me, v.remote, v.own
	}
	c.transcript = p.Transcript()
	close(c.proved)
}

func (c *DirectCall) fail(err error) {
	c.failOnce.Do(func() {
		c.err = err
		close(c.failed)
	})
}

// send relays a signal to the other device.
func (c *DirectCall) send(kind string, data any) {
	params := map[string]any{"call": c.ID(), "kind": kind, "data": data}
	if err := c.conn.Load().Notify(context.Background(), "calls.signal", params); err != nil {
		c.fail(err)
	}
}
