//go:build !linux

package hub

import (
	"context"
	"errors"
)

// poller needs Linux's epoll; elsewhere goroutines read.
type poller struct{}

var errNoPoller = errors.New("hub: no poller on this system")

func newPoller() (*poller, error)         { return nil, errNoPoller }
func (*poller) close() error              { return nil }
func (*poller) add(*session, *line) error { return errNoPoller }
func (*poller) watch(*line, bool) error   { return errNoPoller }
func (*poller) forget(*session)           {}
func (*poller) run(context.Context)       {}
