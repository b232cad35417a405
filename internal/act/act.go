// Package act plays a person on a dev node, so that one developer can try both
// sides of a payment: it answers or declines what comes, talks, confirms with a
// passkey of its own, or does nothing.
//
// It is a client like any other and knows nothing of the node's inside.
package act

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"parley/client"
	"parley/identity/authenticatortest"
	"parley/wire"
)

// Role is what the player does with what comes.
type Role string

// The roles.
const (
	// Declines refuses requests to pay and calls.
	Declines Role = "declines"
	// Answers holds the money of requests, answers calls and finds that the words match.
	Answers Role = "answers"
	// Confirms does what Answers does, and confirms with a passkey.
	Confirms Role = "confirms"
	// Silent is there and does nothing.
	Silent Role = "silent"
	// EditsAmount does what Answers does, and raises the amount of a payment to
	// itself once, after the payer has confirmed.
	EditsAmount Role = "edits-amount"
)

// edit is by how many minor units EditsAmount raises.
const edit = 100

// queueMax bounds the events that wait for the player; more end it.
const queueMax = 1024

// frame is an Opus frame of 20 ms (RFC 6716: CELT, fullband, empty).
var frame = []byte{0xf8, 0xff, 0xfe}

// Player is one user's device.
type Player struct {
	// URL of the node, SocketURL of its socket.
	URL, SocketURL string
	Token          string
	User           wire.UserID
	Role           Role
	// Out is told each step in a line.
	Out io.Writer

	conn    *client.Conn
	key     authenticatortest.Authenticator
	call    *client.DirectCall
	hush    context.CancelFunc // ends the voice of call
	voices  sync.WaitGroup
	seen    map[string]bool // steps done, so that repeated news repeat nothing
	proved  chan struct{}   // the call's keys and words are checked
	payment string          // the payment that the call is about
}

// Run plays until ctx ends or the connection does.
func (p *Player) Run(ctx context.Context) error {
	events := make(chan wire.Event, queueMax)
	overflow := make(chan struct{}, 1)
	conn, err := client.Dial(ctx, client.Options{
		SocketURL: p.SocketURL, Token: p.Token, Device: wire.NewID[wire.DeviceID]("dev_", time.Now()),
		OnEvent: func(ev wire.Event) {
			select {
			case events <- ev:
			default:
				select {
				case overflow <- struct{}{}:
				default:
				}
			}
		},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	p.conn, p.seen = conn, map[string]bool{}
	defer p.leave()
	if p.Role == Confirms {
		if err := p.register(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	p.say("%s is online and %s", p.User, p.Role)
	for {
		select {
		case ev := <-events:
			if err := p.take(ctx, ev); err != nil {
				p.say("could not: %v", err)
			}
		case <-p.proved:
			p.proved = nil
			if err := p.confirm(ctx); err != nil {
				p.say("could not: %v", err)
			}
		case <-overflow:
			return errors.New("act: more events than the player can take")
		case <-conn.Done():
			return conn.Err()
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *Player) say(format string, args ...any) { fmt.Fprintf(p.Out, format+"\n", args...) }

// once reports whether step happens for the first time.
func (p *Player) once(format string, args ...any) bool {
	step := fmt.Sprintf(format, args...)
	if p.seen[step] {
		return false
	}
	p.seen[step] = true
	return true
}

// do calls an operation; key makes a write of money idempotent.
func (p *Player) do(ctx context.Context, method, key string, params map[string]any, result any) error {
	if key != "" {
		params["idempotency_key"] = "act/" + key
	}
	if err := p.conn.Call(ctx, method, params, result); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// payment is what the player needs of one.
type payment struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Version  int64  `json:"version"`
	Payer    string `json:"payer"`
	Payee    string `json:"payee"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

func (p *Player) take(ctx context.Context, ev wire.Event) error {
	if p.call != nil {
		p.call.Handle(ev)
	}
	var data struct {
		Call    client.CallState `json:"call"`
		Payment payment          `json:"payment"`
		Change  string           `json:"change"`
	}
	switch ev.Type {
	case "call.offered", "call.updated", "call.ended", "payment.updated":
		if err := json.Unmarshal(ev.Data, &data); err != nil {
			return fmt.Errorf("act: %s: %w", ev.Type, err)
		}
	default:
		return nil
	}
	switch ev.Type {
	case "call.offered":
		return p.offered(ctx, data.Call)
	case "call.updated": // it may be active now
		if p.call != nil && p.proved == nil {
			return p.confirm(ctx)
		}
		return nil
	case "call.ended":
		if p.call != nil && data.Call.ID == p.call.ID() {
			p.say("the call ended: %s", data.Call.Reason)
			p.leave()
		}
		return nil
	}
	p.say("payment %s of %d %s is %s", data.Payment.ID, data.Payment.Amount, data.Payment.Currency, data.Payment.State)
	return p.paid(ctx, data.Payment)
}

// offered reacts to a call that rings.
func (p *Player) offered(ctx context.Context, call client.CallState) error {
	if !p.once("call %s", call.ID) {
		return nil
	}
	switch p.Role {
	case Silent:
		p.say("%s rings; nobody answers", call.From.User)
		return p.do(ctx, "calls.ringing", "", map[string]any{"call": call.ID}, nil)
	case Declines:
		p.say("%s rings; declined", call.From.User)
		return p.do(ctx, "calls.decline", "", map[string]any{"call": call.ID}, nil)
	}
	p.leave()
	in, err := client.AnswerCall(ctx, p.conn, call.ID, client.DirectOptions{})
	if err != nil {
		return err
	}
	p.say("%s rings; answered", call.From.User)
	speaking, hush := context.WithCancel(ctx)
	p.call, p.hush, p.payment, p.proved = in, hush, string(call.Payment), make(chan struct{})
	proved := p.proved
	p.voices.Go(func() { p.talk(speaking, in, proved) })
	return nil
}

// talk finds that the words match, says so, and keeps a voice on the line.
func (p *Player) talk(ctx context.Context, call *client.DirectCall, proved chan<- struct{}) {
	if _, err := call.WaitProved(ctx); err == nil && call.Verify(ctx, "match") == nil {
		close(proved)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = call.Say(frame) // the call may be ending
		case <-ctx.Done():
			return
		}
	}
}

// leave forgets the call.
func (p *Player) leave() {
	if p.call == nil {
		return
	}
	p.hush()
	p.voices.Wait()
	p.call.Close()
	p.call, p.proved, p.payment = nil, nil, ""
}

// paid reacts to what happened to a payment.
func (p *Player) paid(ctx context.Context, pay payment) error {
	payer := pay.Payer == string(p.User)
	switch {
	case p.Role == Silent:
	case pay.State == "requested" && payer && p.Role == Declines:
		return p.do(ctx, "payments.decline", "decline/"+pay.ID, map[string]any{"payment": pay.ID}, nil)
	case pay.State == "requested" && payer:
		if p.once("hold %s %d", pay.ID, pay.Version) {
			key := fmt.Sprintf("hold/%s/%d", pay.ID, pay.Version)
			return p.do(ctx, "payments.hold", key, map[string]any{"payment": pay.ID, "version": pay.Version}, nil)
		}
	case pay.State == "confirming" && !payer && p.Role == EditsAmount:
		if p.once("edit %s", pay.ID) {
			p.say("the amount is now %d", pay.Amount+edit)
			return p.do(ctx, "payments.edit", "edit/"+pay.ID, map[string]any{"payment": pay.ID, "version": pay.Version, "amount": pay.Amount + edit}, nil)
		}
	case p.call != nil && p.proved == nil && pay.ID == p.payment:
		return p.confirm(ctx)
	}
	return nil
}

// register makes a passkey.
func (p *Player) register(ctx context.Context) error {
	var begun struct {
		Options json.RawMessage `json:"options"`
		Session string          `json:"session"`
	}
	if err := p.do(ctx, "passkeys.register_begin", "", map[string]any{}, &begun); err != nil {
		return err
	}
	credential, err := p.key.Register(begun.Options, p.URL)
	if err != nil {
		return err
	}
	return p.do(ctx, "passkeys.register_finish", "", map[string]any{"session": begun.Session, "credential": credential}, nil)
}

// confirm confirms the payment of the call, once for each version, when it can be.
func (p *Player) confirm(ctx context.Context) error {
	if p.Role != Confirms || p.payment == "" {
		return nil
	}
	var pay payment
	if err := p.do(ctx, "payments.get", "", map[string]any{"payment": p.payment}, &pay); err != nil {
		return err
	}
	if pay.State != "held" && pay.State != "confirming" || p.seen[confirmed(pay)] {
		return nil
	}
	var opened struct {
		Transcript string          `json:"transcript"`
		Nonce      string          `json:"nonce"`
		Options    json.RawMessage `json:"options"`
	}
	err := p.do(ctx, "confirmations.open", "", map[string]any{"payment": pay.ID, "version": pay.Version}, &opened)
	var early *wire.Problem
	if errors.As(err, &early) && early.Code == "call_not_active" {
		return nil // the other end is not there yet; news of the call will tell
	}
	if err != nil {
		return err
	}
	assertion, err := p.key.Assert(opened.Options, p.URL)
	if err != nil {
		return err
	}
	key := fmt.Sprintf("confirm/%s/%s/%d/%s", p.User, pay.ID, pay.Version, opened.Nonce)
	err = p.do(ctx, "confirmations.submit", key, map[string]any{
		"payment": pay.ID, "version": pay.Version, "transcript": opened.Transcript, "sas": "match", "nonce": opened.Nonce, "assertion": assertion,
	}, nil)
	if err == nil {
		p.seen[confirmed(pay)] = true
		p.say("confirmed version %d", pay.Version)
	}
	return err
}

// confirmed names the step of confirming a version.
func confirmed(pay payment) string { return fmt.Sprintf("confirm %s %d", pay.ID, pay.Version) }
