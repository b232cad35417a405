package signaling

import (
	"context"
	"errors"

	"parley/internal/sqldb"
	"parley/wire"
)

// hosted returns the call that by may be in the room of, with a node that holds it.
func (s *Service) hosted(ctx context.Context, id wire.CallID, by Endpoint) (Call, error) {
	call, err := s.inRoom(ctx, id, by)
	if err != nil {
		return Call{}, err
	}
	host, err := s.SFU.Host(ctx, call.Host)
	if err != nil || host == call.Host {
		return call, err
	}
	return s.change(ctx, id, Command{Action: ActPlace, Was: call.Host, Host: host}, origin{})
}

// MoveRooms moves the rooms of nodes that cannot hold them any longer, having
// died or being drained, to others, and tells the people in them to join anew.
// It returns how many moved. Rooms for which there is no other node stay. Run
// calls it every second, on every node: of those that move a room, one does.
func (s *Service) MoveRooms(ctx context.Context) (moved int, err error) {
	if s.SFU == nil {
		return 0, nil
	}
	hosts, err := s.list(ctx, "SELECT DISTINCT host FROM calls WHERE host <> ''")
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, host := range hosts {
		next, err := s.SFU.Host(ctx, host)
		if err != nil || next == host { // there is no other
			continue
		}
		n, err := s.moveFrom(ctx, host)
		moved += n
		errs = append(errs, err)
	}
	return moved, errors.Join(errs...)
}

// moveFrom moves the rooms of one node, each to the node that is best then.
func (s *Service) moveFrom(ctx context.Context, host string) (moved int, err error) {
	calls, err := s.list(ctx, "SELECT id FROM calls WHERE host = ? LIMIT ?", host, sweepMax)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, id := range calls {
		next, err := s.SFU.Host(ctx, host)
		if err != nil || next == host {
			break
		}
		call, err := s.change(ctx, wire.CallID(id), Command{Action: ActPlace, Was: host, Host: next}, origin{})
		switch {
		case err == nil && call.Host == next:
			moved++
			s.metrics.moved.Inc()
		case err != nil && !errors.Is(err, ErrEnded):
			errs = append(errs, err)
		}
	}
	return moved, errors.Join(errs...)
}

// list reads a column of texts.
func (s *Service) list(ctx context.Context, query string, args ...any) (out []string, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is in Err
		for out = nil; rows.Next(); {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			out = append(out, text)
		}
		return rows.Err()
	})
	return out, err
}
