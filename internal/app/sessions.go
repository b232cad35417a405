package app

import (
	"context"
	"log/slog"
	"time"

	"parley/hub"
	"parley/hub/presence"
	"parley/signaling"
	"parley/wire"
)

// sessions tells presence and calls of sockets that come and go (hub.Observer).
type sessions struct {
	hub   *hub.Hub
	board presence.Board
	calls *signaling.Service
	log   *slog.Logger
}

// SessionOpened implements hub.Observer.
func (s *sessions) SessionOpened(ctx context.Context, c wire.Caller) {
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
