package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func TestRunStages_EndInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var ended []string
		part := func(name string) func(context.Context) error {
			return func(ctx context.Context) error {
				<-ctx.Done()
				mu.Lock()
				ended = append(ended, name)
				mu.Unlock()
				return ctx.Err()
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := runStages(ctx, []stage{{part("database")}, {part("features")}, {part("door")}}, func(context.Context) error {
			cancel()
			return nil
		})
		if err != nil || !slices.Equal(ended, []string{"door", "features", "database"}) {
			t.Errorf("ended %v with %v", ended, err)
		}
	})
}

func TestRunStages_AFailureEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		fail := make(chan struct{})
		wait := func(ctx context.Context) error { <-ctx.Done(); return nil }
		err := runStages(t.Context(), []stage{
			{wait, func(context.Context) error { <-fail; return boom }}, {wait},
		}, func(context.Context) error { close(fail); return nil })
		if !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		never := make(chan struct{})
		err = runStages(t.Context(), []stage{{wait}}, func(context.Context) error { close(never); return boom })
		if !errors.Is(err, boom) {
			t.Errorf("got %v when not ready", err)
		}
	})
}
