package payments

import (
	"context"
)

// Sandbox is a rail for trying things out.
type Sandbox struct{}

// Name implements Rail.
func (Sandbox) Name() string { return "sandbox" }

// Order implements Rail.
func (Sandbox) Order(_ context.Context, o RailOrder) (RailOutcome, error) {
	if o.Amount <= 0 || o.Amount > MaxAmount {
		return RailOutcome{ID: o.Reference, Status: RailRefused, Reason: "AM02"}, nil
	}
	return RailOutcome{ID: o.Reference, Status: RailDone}, nil
}

// Find implements Rail.
func (s Sandbox) Find(ctx context.Context, o RailOrder, _ string) (RailOutcome, error) {
	return s.Order(ctx, o)
}
