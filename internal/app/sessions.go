package app

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"parley/hub"
	"parley/hub/presence"
	"parley/internal/auth"
	"parley/signaling"
	"parley/wire"
)

// sessions tells presence and calls of sockets that come and go (hub.Observer).
type sessions struct {
	hub   *hub.Hub
	board presence.Board
	calls *signaling.Service
	noted *auth.Devices
	log   *slog.Logger
}

// SessionOpened implements hub.Observer.
func (s *sessions) SessionOpened(ctx context.Context, c wire.Caller) {
	s.noted.Note(c.User, c.Device)
	if err := s.board.Touch(ctx, c.User, c.Device, ""); err != nil {
		s.log.Warn("presence not touched", "err", err)
	}
	if err := s.calls.SessionOpened(ctx, c.User, c.Device); err != nil && ctx.Err() == nil {
		s.log.Warn("running calls not shown", "err", err)
	}
}

// SessionClosed implements hub.Observer.
func (s *sessions) SessionClosed(ctx context.Context, c wire.Caller, reason string) {
	if reason == "replaced" {
		return // the device is here, on the session that replaced this one
	}
	if err := s.board.Leave(context.WithoutCancel(ctx), c.User, c.Device); err != nil {
		s.log.Warn("presence not left", "err", err)
	}
}

// renewEvery is how often the leases of connected devices are renewed, well within a lease's life.
const renewEvery = 30 * time.Second

// Run renews the leases of connected devices until ctx ends.
func (s *sessions) Run(ctx context.Context) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, i := range s.hub.Sessions() {
				if err := s.board.Touch(ctx, i.User, i.Device, ""); err != nil && ctx.Err() == nil {
					s.log.Warn("presence not renewed", "err", err)
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// callGrace is how long the sessions of people in a call outlive their token.
const callGrace = 60 * time.Second

// Extra implements hub.Grace: who is in a call keeps the socket for a minute.
func (s *sessions) Extra(c wire.Caller) time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	active, _, err := s.calls.List(ctx, c, signaling.Filter{Active: true, Limit: 1})
	if err != nil || len(active) == 0 {
		return 0
	}
	return callGrace
}

// Allows implements hub.Grace: with an expired token the call goes on and nothing else.
func (s *sessions) Allows(method string) bool {
	return strings.HasPrefix(method, "calls.")
}
