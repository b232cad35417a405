package chat

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// A MemberRole says what a member may do.
type MemberRole string

// Owners may change members and title.
const (
	RoleOwner  MemberRole = "owner"
	RoleMember MemberRole = "member"
)

// seat is one member in a roster.
type seat struct {
	user wire.UserID
	role MemberRole
	// accepted: has let the others in.
	accepted bool
}

// roster is the members of a conversation at one version, sorted by user. It
// is shared and never changed.
type roster struct {
	version int64
	seats   []seat
	to      []wire.To // the addresses of all members
}

func newRoster(version int64, seats []seat) *roster {
	r := &roster{version: version, seats: seats, to: make([]wire.To, len(seats))}
	for i, m := range seats {
		r.to[i] = wire.To{User: m.user}
	}
	return r
}

func (r *roster) seat(u wire.UserID) (seat, bool) {
	i, ok := slices.BinarySearchFunc(r.seats, u, func(s seat, u wire.UserID) int { return strings.Compare(string(s.user), string(u)) })
	if !ok {
		return seat{}, false
	}
	return r.seats[i], true
}

func (r *roster) users() []wire.UserID {
	users := make([]wire.UserID, len(r.seats))
	for i, m := range r.seats {
		users[i] = m.user
	}
	return users
}

// rosterCache keeps rosters by conversation. What it holds may be old: callers
// compare the version with the one they read from the database, or take what
// was current a moment ago.
type rosterCache struct {
	max int

	mu sync.Mutex // guards by
	by map[wire.ConversationID]cachedRoster
}

type cachedRoster struct {
	*roster
	current time.Time // when it was last known to be
}

func newRosterCache(maximum int) *rosterCache {
	return &rosterCache{max: maximum, by: map[wire.ConversationID]cachedRoster{}}
}

func (c *rosterCache) get(id wire.ConversationID, version int64) *roster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.by[id]; r.roster != nil && r.version == version {
		return r.roster
	}
	return nil
}

// since returns a roster that was current at or after then, or nil.
func (c *rosterCache) since(id wire.ConversationID, then time.Time) *roster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.by[id]; r.roster != nil && !r.current.Before(then) {
		return r.roster
	}
	return nil
}

// put keeps r, which was current at now, unless a newer one is there. At the
// bound any other roster makes room.
func (c *rosterCache) put(id wire.ConversationID, r *roster, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.by[id]; old.roster != nil {
		if old.version <= r.version {
			c.by[id] = cachedRoster{r, now}
		}
		return
	}
	if len(c.by) >= c.max {
		for victim := range c.by {
			delete(c.by, victim)
			break
		}
	}
	c.by[id] = cachedRoster{r, now}
}

const selectSeats = `SELECT user_id, role, accepted FROM members WHERE conversation = ? ORDER BY user_id`

// rosterAt returns the members at a version that tx has read from the row it
// has locked. They enter the cache only once tx has committed: a rolled back
// version number is given again.
func (s *Service) rosterAt(tx *sqldb.Tx, id wire.ConversationID, version int64) (*roster, error) {
	if r := s.rosters.get(id, version); r != nil {
		return r, nil
	}
	r, err := loadRoster(tx, id, version)
	if err != nil {
		return nil, err
	}
	tx.AfterCommit(func() { s.rosters.put(id, r, s.now()) })
	return r, nil
}

func loadRoster(tx *sqldb.Tx, id wire.ConversationID, version int64) (*roster, error) {
	rows, err := tx.Query(selectSeats, id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var seats []seat
	for rows.Next() {
		m, err := scanSeat(rows)
		if err != nil {
			return nil, err
		}
		seats = append(seats, m)
	}
	return sortedRoster(version, seats), rows.Err()
}

func scanSeat(row sqldb.Row) (m seat, err error) {
	var accepted int64
	err = row.Scan(&m.user, &m.role, &accepted)
	m.accepted = accepted != 0
	return m, err
}

// sortedRoster makes a roster of seats in any order: databases collate differently.
func sortedRoster(version int64, seats []seat) *roster {
	slices.SortFunc(seats, func(a, b seat) int { return strings.Compare(string(a.user), string(b.user)) })
	return newRoster(version, seats)
}

// accepting is the roster after u has let the others in.
func (r *roster) accepting(u wire.UserID) *roster {
	seats := slices.Clone(r.seats)
	for i := range seats {
		seats[i].accepted = seats[i].accepted || seats[i].user == u
	}
	return newRoster(r.version+1, seats)
}

// rosterTx returns the members as tx sees them.
func (s *Service) rosterTx(tx *sqldb.Tx, id wire.ConversationID) (*roster, error) {
	if !known(id) {
		return nil, ErrUnknown
	}
	var version int64
	err := tx.QueryRow(`SELECT roster FROM conversations WHERE id = ?`, id).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	return s.rosterSeen(tx, id, version)
}

// rosterSeen is rosterAt for a row that tx has read and not locked. It does not
// fill the cache: on PostgreSQL two reads of an update may see different commits.
func (s *Service) rosterSeen(tx *sqldb.Tx, id wire.ConversationID, version int64) (*roster, error) {
	if r := s.rosters.get(id, version); r != nil {
		return r, nil
	}
	return loadRoster(tx, id, version)
}

// How old the member list may be by which a signal is admitted and addressed.
// This node's own changes show at once; who was removed on another node may send
// and hear typing for as long. An SQLite file has one node, whose lists are old
// only if somebody else wrote to the file. Entries are never written or
// addressed by an old list.
const (
	signalRosterAge      = 2 * time.Second
	signalRosterAgeAlone = time.Minute
)

func signalRosterAgeOn(d sqldb.Dialect) time.Duration {
	if d == sqldb.SQLite {
		return signalRosterAgeAlone
	}
	return signalRosterAge
}

// viewRecent returns the members as committed a moment ago.
func (s *Service) viewRecent(ctx context.Context, id wire.ConversationID) (*roster, error) {
	if r := s.rosters.since(id, s.now().Add(-signalRosterAgeOn(s.db.Dialect()))); r != nil {
		return r, nil
	}
	return s.view(ctx, id)
}

// view returns the members as committed now.
func (s *Service) view(ctx context.Context, id wire.ConversationID) (*roster, error) {
	var r *roster
	asked := s.now()
	err := s.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		r, err = s.rosterTx(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.rosters.put(id, r, asked) // a view is one snapshot of what is committed
	return r, nil
}

// Members returns the members of a conversation, or ErrUnknown.
func (s *Service) Members(ctx context.Context, id wire.ConversationID) ([]wire.UserID, error) {
	r, err := s.view(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.users(), nil
}

// MembersTx is Members inside a transaction.
func (s *Service) MembersTx(tx *sqldb.Tx, id wire.ConversationID) ([]wire.UserID, error) {
	r, err := s.rosterTx(tx, id)
	if err != nil {
		return nil, err
	}
	return r.users(), nil
}

// IsMember reports whether u is in the conversation; nobody is in one that does not exist.
func (s *Service) IsMember(ctx context.Context, id wire.ConversationID, u wire.UserID) (bool, error) {
	r, err := s.view(ctx, id)
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, ok := r.seat(u)
	return ok, nil
}

// Related reports whether two people share a conversation.
func (s *Service) Related(ctx context.Context, a, b wire.UserID) (bool, error) {
	var ok bool
	err := s.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		ok, err = related(tx, a, b)
		return err
	})
	return ok, err
}

func related(tx *sqldb.Tx, a, b wire.UserID) (bool, error) {
	if a == b {
		return true, nil
	}
	var one int64
	err := tx.QueryRow(`SELECT 1 FROM members a JOIN members b ON b.conversation = a.conversation
		WHERE a.user_id = ? AND b.user_id = ? LIMIT 1`, a, b).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Peers returns everybody who shares a conversation with u, without u.
func (s *Service) Peers(ctx context.Context, u wire.UserID) ([]wire.UserID, error) {
	var peers []wire.UserID
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`SELECT DISTINCT b.user_id FROM members a JOIN members b ON b.conversation = a.conversation
			WHERE a.user_id = ? AND b.user_id <> ?`, u, u)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var p wire.UserID
			if err := rows.Scan(&p); err != nil {
				return err
			}
			peers = append(peers, p)
		}
		return rows.Err()
	})
	return peers, err
}

// need is what an operation asks of a caller.
type need int

const (
	toRead   need = iota // members, servers, operators
	toWrite              // members; servers in their own name or a member's
	toManage             // owners, servers
)

// allow says whether c may. Strangers hear ErrUnknown, so that nobody learns which conversations exist.
func allow(c wire.Caller, r *roster, n need) error {
	switch c.Role {
	case wire.RoleOperator:
		if n == toRead {
			return nil
		}
		return ErrUnknown
	case wire.RoleServer:
		if n != toWrite || c.User == "" {
			return nil
		}
	}
	m, ok := r.seat(c.User)
	switch {
	case !ok:
		return ErrUnknown
	case n == toManage && m.role != RoleOwner:
		return ErrNotOwner
	}
	return nil
}

// Visible returns those of users who share a conversation with u, and u, in the order given.
func (s *Service) Visible(ctx context.Context, u wire.UserID, users []wire.UserID) ([]wire.UserID, error) {
	visible := make([]wire.UserID, 0, len(users))
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		for _, other := range users {
			ok, err := related(tx, u, other)
			if err != nil {
				return err
			}
			if ok {
				visible = append(visible, other)
			}
		}
		return nil
	})
	return visible, err
}
