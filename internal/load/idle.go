package load

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// connectAtOnce is how many sockets of a worker connect at the same time when there is no hurry.
const connectAtOnce = 32

// IdleConfig of an Idle run.
type IdleConfig struct {
	// Conns is the number of sockets. 0 means 1000.
	Conns int
	// Seconds is how long they are held. 0 means 5.
	Seconds float64
	// Every is how often, in seconds, each socket gets a stored message from
	// another one meanwhile. 0 means never.
	Every float64
}

// Idle opens authenticated sockets of one user each, holds them, and measures
// what a connect costs the node and how much memory a socket keeps: the growth
// of the process, after a collection before and after. The connect that is
// measured is a returning user's: everybody has been here once before. With
// Every, lost, doubled and reordered count messages, and lost the sockets that
// the node has dropped, too.
func Idle(ctx context.Context, t Target, cfg IdleConfig) (Result, error) {
	if cfg.Conns <= 0 {
		cfg.Conns = 1000
	}
	if cfg.Seconds <= 0 {
		cfg.Seconds = 5
	}
	result := Result{Bench: "idle"}
	f, err := newFleet(ctx, cfg.Conns)
	if err != nil {
		return result, err
	}
	defer f.close()
	if err := t.collect(ctx); err != nil {
		return result, err
	}
	before, _ := RSS(t.PID) // without it the figure is left out
	first, err := f.tell(order{Do: "open", SocketURL: t.SocketURL, AtOnce: connectAtOnce})
	if err != nil {
		return result, err
	}
	if _, err := f.tell(order{Do: "cut"}); err != nil {
		return result, err
	}
	if err := pause(ctx, 1); err != nil { // for the node to notice
		return result, err
	}
	m := newMeter(t.PID)
	a, err := f.tell(order{Do: "connect", AtOnce: connectAtOnce})
	if err != nil {
		return result, err
	}
	result.Units = a.Open
	m.finish(&result)
	result.ConnectCPUUs = result.ServerCPUUsPerUnit
	took := a.times()
	result.P50MS, result.P99MS = took.at(0.50), took.at(0.99)
	talked, err := f.hold(ctx, cfg)
	if err != nil {
		return result, err
	}
	if err := t.collect(ctx); err != nil {
		return result, err
	}
	if after, err := RSS(t.PID); err == nil && before > 0 && a.Open > 0 {
		result.RSSBytesPerConn = (after - before) / a.Open
	}
	held, err := f.tell(order{Do: "report"})
	result.Lost = talked.Dropped + held.Dropped + talked.Sent - talked.Arrived
	result.Doubled, result.Reordered = talked.Doubled, talked.Reordered
	result.Errors = first.Errors + a.Errors + talked.Errors + held.Errors
	result.ServerCPUUsPerUnit = 0
	return result, err
}

// hold keeps the sockets for a while, silent or talking.
func (f *fleet) hold(ctx context.Context, cfg IdleConfig) (account, error) {
	if cfg.Every <= 0 {
		return account{}, pause(ctx, cfg.Seconds)
	}
	return f.tell(order{Do: "talk", EveryMS: int(1000 * cfg.Every), ForMS: int(1000 * cfg.Seconds)})
}

// pause waits for the given seconds or until ctx ends.
func pause(ctx context.Context, seconds float64) error {
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// collect has the node collect its garbage and return what is free to the
// system, so that its resident memory is what it needs.
func (t Target) collect(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL+"/debug/collect", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+t.Keys.Secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("load: collect: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("load: the node answers /debug/collect with %s; is --key a server key of it?", resp.Status)
	}
	return nil
}
