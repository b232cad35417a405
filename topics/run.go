package topics

import (
	"context"
	"time"
)

// How often other nodes are told of joins: of counts that changed, and of all
// so that they know this node is alive.
const (
	reportEvery = 2 * time.Second
	reportAll   = 5 // reports of changes
)

// Run tells the other nodes how many have joined here, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	told := map[string]int{}
	for round := 0; ; round++ {
		counts := s.deps.Seats.Counts()
		news := changed(told, counts, round%reportAll == 0)
		if err := s.deps.Streams.Report(ctx, news); err != nil {
			if ctx.Err() == nil {
				s.deps.Log.Warn("joins not reported", "err", err)
			}
			counts = told // these are not known; try again
		}
		told = counts
		if err := s.deps.Clock.Wait(ctx, s.deps.Clock.Now().Add(reportEvery)); err != nil {
			return nil
		}
	}
}

// changed are the counts that differ from those told, with 0 for topics that are gone.
func changed(told, counts map[string]int, all bool) map[string]int {
	news := map[string]int{}
	for topic, n := range counts {
		if all || told[topic] != n {
			news[topic] = n
		}
	}
	for topic := range told {
		if counts[topic] == 0 {
			news[topic] = 0
		}
	}
	return news
}
