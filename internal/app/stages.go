package app

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// A stage is long-lived parts that may start together. Later stages use
// earlier ones, so they end first.
type stage []func(ctx context.Context) error

// runStages starts the stages, calls ready, waits until ctx ends or a part
// fails, and ends the stages in reverse order: the parts of a stage outlive
// ctx until the stages above them have ended.
func runStages(ctx context.Context, stages []stage, ready func(ctx context.Context) error) error {
	if len(stages) == 0 {
		if err := ready(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	above, stopAbove := context.WithCancel(ctx)
	defer stopAbove()
	own, stopOwn := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOwn()
	var parts errgroup.Group
	for _, part := range stages[0] {
		parts.Go(func() error {
			err := part(own)
			if own.Err() == nil {
				stopAbove() // ended too early: what stands on it must end
				return err
			}
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		})
	}
	err := runStages(above, stages[1:], ready)
	stopOwn()
	return errors.Join(err, parts.Wait())
}
