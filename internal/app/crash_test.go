package app_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/config"
	"parley/internal/crash"
	"parley/wire"
)

// runChild serves a dev node on a folder until it is killed. It has no relay,
// which would die with it and take along the calls that have come to use it.
func runChild(args []string) error {
	cfg, err := config.Load("", nil, app.DevSettings(args[0], 0))
	if err != nil {
		return err
	}
	cfg.TURN.Enabled = false
	n, err := app.New(context.Background(), app.Options{Config: cfg, Dev: true})
	if err != nil {
		return err
	}
	return n.Run(context.Background(), func(i app.Info) error { return json.NewEncoder(os.Stdout).Encode(i) })
}

// startChild runs a node in a process of its own; stop kills it.
func startChild(t *testing.T, dir string) *node {
	t.Helper()
	n, _ := childNode(t, dir)
	return n
}

// childNode is startChild for tests that do more to the process.
func childNode(t *testing.T, dir string) (*node, *crash.Child) {
	t.Helper()
	child := crash.Start(t, "node", dir)
	n := &node{t: t, stop: func() { child.Kill() }}
	if err := json.Unmarshal([]byte(child.Await()), &n.info); err != nil {
		t.Fatal(err)
	}
	return n, child
}

// move takes a person to another node, as an SDK does after its socket broke.
func (p *person) move(to *node) {
	p.t.Helper()
	resume := map[wire.ConversationID]int64{}
	p.mu.Lock()
	for _, ev := range p.events {
		resume[ev.Conversation] = max(resume[ev.Conversation], ev.Seq)
	}
	p.mu.Unlock()
	delete(resume, "")
	p.conn.Close()
	p.n = to
	p.connect(resume)
	p.call.Move(p.conn)
}

func TestCrash_BetweenTheConfirmationsTheCallGoesOnAndTheSecondCaptures(t *testing.T) {
	dir := t.TempDir()
	first := startChild(t, dir)
	buyer, seller := first.join("buyer", "b1"), first.join("seller", "s1")
	pay := inCall(buyer, seller)
	buyer.do("confirmations.submit", buyer.confirmation(pay, 1))
	seller.awaitPayment("confirming")
	first.stop()

	heard := buyer.call.Heard()
	second := startChild(t, dir)
	buyer.move(second)
	seller.move(second)
	waitUntil(t, "the voices go on without the node", func() bool { return buyer.call.Heard() > heard+10 })
	submitWhenAlive(seller, pay)
	buyer.awaitPayment("captured")
	if b, s := available(second, "buyer"), available(second, "seller"); b != 38000 || s != 61880 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
	second.stop()
	checkLedger(t, dir)
}

// submitWhenAlive confirms as soon as the new node has heard that both sides hear each other.
func submitWhenAlive(p *person, pay string) {
	p.t.Helper()
	waitUntil(p.t, "the confirmation is taken", func() bool {
		opened, err := p.try("confirmations.open", map[string]any{"payment": pay, "version": 1})
		if err != nil {
			return false
		}
		assertion, err := p.key.Assert(raw(p.t, opened["options"]), originOf(p))
		if err != nil {
			p.t.Fatal(err)
		}
		_, err = p.try("confirmations.submit", map[string]any{
			"payment": pay, "version": 1, "transcript": opened["transcript"], "sas": "match", "nonce": opened["nonce"],
			"assertion": assertion, "idempotency_key": "after-" + p.user,
		})
		return err == nil
	})
}

func originOf(p *person) string { return p.n.info.URL }

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestCrash_InsideTheCapture kills the node at a random moment around the
// second confirmation: the payment is captured once, or still waits for it.
func TestCrash_InsideTheCaptureItHappensOnceOrNotAtAll(t *testing.T) {
	captured := 0
	for range 4 {
		dir := t.TempDir()
		first := startChild(t, dir)
		buyer, seller := first.join("buyer", "b1"), first.join("seller", "s1")
		pay := inCall(buyer, seller)
		buyer.do("confirmations.submit", buyer.confirmation(pay, 1))
		mine := seller.confirmation(pay, 1)
		answered := make(chan error, 1)
		go func() {
			_, err := seller.try("confirmations.submit", mine)
			answered <- err
		}()
		kill := time.NewTimer(rand.N(4 * time.Millisecond))
		<-kill.C
		first.stop()
		acknowledged := <-answered == nil

		second := startChild(t, dir)
		var p struct {
			State    string
			Captured int64
		}
		if err := second.server("").Do(t.Context(), "GET", "/v1/payments/"+pay, "", nil, &p); err != nil {
			t.Fatal(err)
		}
		b, s := available(second, "buyer"), available(second, "seller")
		switch {
		case p.State == "captured" && p.Captured == 12000 && b == 38000 && s == 61880:
			captured++
		case p.State == "confirming" && !acknowledged && p.Captured == 0 && b == 38000 && s == 50000:
		default:
			t.Errorf("payment is %+v, acknowledged %v, buyer has %d, seller %d", p, acknowledged, b, s)
		}
		second.stop()
		checkLedger(t, dir)
	}
	t.Logf("captured in %d of 4", captured)
}
