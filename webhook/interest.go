package webhook

import (
	"context"
	"slices"
	"sync/atomic"

	"parley/internal/sqldb"
)

// interest remembers which types some endpoint wants, so that what nobody wants
// costs nothing. While it is unknown everything counts as wanted; Consume reads
// the truth. Changes made here make it unknown at once; those of other nodes are
// seen with the next refresh.
type interest struct {
	filters atomic.Pointer[[][]string] // of each enabled endpoint; nil: unknown
	changes atomic.Int64               // made here; a refresh that began before one does not count
}

func (i *interest) forget() {
	i.changes.Add(1)
	i.filters.Store(nil)
}

// Wanted reports whether some endpoint may want events of a type. Another
// node's endpoint is known within Config.Poll of its creation.
func (s *Service) Wanted(eventType string) bool {
	known := s.interest.filters.Load()
	return known == nil || slices.ContainsFunc(*known, func(filters []string) bool { return wants(filters, eventType) })
}

// refresh learns what is wanted.
func (s *Service) refresh(ctx context.Context) error {
	before := s.interest.changes.Load()
	filters := [][]string{}
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err := readEndpoints(tx, "")
		filters = filters[:0]
		for _, e := range all {
			if !e.Disabled {
				filters = append(filters, e.Events)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	s.interest.filters.Store(&filters)
	if s.interest.changes.Load() != before {
		s.interest.filters.Store(nil)
	}
	return nil
}
