package chat

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// On PostgreSQL a message in a transaction of its own takes four round trips, of
// which each costs node and server more than the message does. Messages that wait
// at the same time share one of two trips. (On SQLite the database's own writer
// does the like for every transaction.)

const (
	// takeFreeNumber is takeNumber for a conversation that nobody has locked: a
	// group must not wait for one conversation with all the others locked.
	takeFreeNumber = `UPDATE conversations SET head = head + 1, updated_at = ?
		WHERE id = (SELECT id FROM conversations WHERE id = ? FOR UPDATE SKIP LOCKED) RETURNING head, roster`
	// insertNewEntry fails where insertEntry does nothing.
	insertNewEntry = `INSERT INTO entries (conversation, seq, id, type, author, client_id, about, at, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

const (
	togetherMost = 64   // messages in one commit
	waitingMost  = 4096 // messages that wait for one
	// togetherWithin bounds a group's transaction.
	togetherWithin = 15 * time.Second
)

var (
	// errApart says that a message needs a transaction of its own.
	errApart = errors.New("chat: not together with others")
	// errAgain says that a group is worth another try.
	errAgain = errors.New("chat: again")
	// errUnwritten is what is left when the group's commit was broken off.
	errUnwritten = errors.New("chat: the message was not written")
)

// post is a message on its way into a log together with others.
type post struct {
	by   wire.Caller
	conv wire.ConversationID
	rec  record

	need  bool   // the members must be read
	seats []seat // that were read

	seq, version int64 // as the transaction found them; seq 0: not
	members      *roster
	apart        bool // it needs a transaction of its own
	ev           wire.Event
	err          error // until it is written: that it is not

	done  chan struct{} // closed when ev and err say how it went
	leads chan struct{} // closed when its caller is to commit the next group
}

// together is the messages that wait. Whoever finds nobody at it commits the
// first group, of which the own message is one, and has the first of those who came
// meanwhile commit the next.
type together struct {
	mu      sync.Mutex
	waiting []*post
	busy    bool
}

// joins reports whether a message can share a commit, as far as this node knows:
// nothing besides it is looked up or written, and the author is not known to be
// somebody who may not write.
func (s *Service) joins(c wire.Caller, conv wire.ConversationID, rec record, m Outgoing) bool {
	if s.db.Dialect() != sqldb.Postgres || m.ReplyTo != "" || len(rec.Data) > DataMax || !known(conv) || s.journals(rec.Type) {
		return false
	}
	r := s.rosters.since(conv, time.Time{})
	return r == nil || allow(c, r, toWrite) == nil
}

// sendTogether writes a message in a commit with others. After errApart nothing was written.
func (s *Service) sendTogether(ctx context.Context, c wire.Caller, conv wire.ConversationID, rec record) (wire.Event, error) {
	p := &post{
		by: c, conv: conv, rec: rec, need: s.rosters.since(conv, time.Time{}) == nil, err: errUnwritten,
		done: make(chan struct{}), leads: make(chan struct{}),
	}
	lead, ok := s.together.enter(p)
	if !ok {
		return wire.Event{}, errApart
	}
	if !lead {
		select {
		case <-p.done:
			return p.ev, p.err
		case <-p.leads:
		case <-ctx.Done():
			if s.together.withdraw(p) {
				return wire.Event{}, ctx.Err()
			}
			select { // its group is being committed, or it is the one to do that
			case <-p.done:
				return p.ev, p.err
			case <-p.leads:
			}
		}
	}
	s.leadTogether(ctx)
	return p.ev, p.err
}

// leadTogether commits the next group, whatever comes of it, and has somebody else
// commit the one after.
func (s *Service) leadTogether(ctx context.Context) {
	posts := s.together.take()
	defer func() {
		for _, p := range posts {
			close(p.done)
		}
		s.together.pass()
	}()
	s.commitTogether(ctx, posts)
}

// enter has p wait; lead says that its caller commits the next group. It reports
// false when too many wait.
func (t *together) enter(p *post) (lead, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= waitingMost {
		return false, false
	}
	t.waiting = append(t.waiting, p)
	lead = !t.busy
	t.busy = true
	return lead, true
}

// withdraw takes p back; false means that it is in a group, or leads the next one.
func (t *together) withdraw(p *post) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, p)
	select {
	case <-p.leads:
		return false
	default:
	}
	if i < 0 {
		return false
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return true
}

// take takes the next group out, the one who leads it first.
func (t *together) take() []*post {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.waiting), togetherMost)
	group := slices.Clone(t.waiting[:n])
	t.waiting = slices.Delete(t.waiting, 0, n)
	return group
}

// pass has the first who waits commit the next group.
func (t *together) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy = len(t.waiting) > 0; t.busy {
		close(t.waiting[0].leads)
	}
}

// commitTogether writes a group, without those that turn out to need a
// transaction of their own, and announces it.
func (s *Service) commitTogether(ctx context.Context, posts []*post) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), togetherWithin)
	defer cancel()
	left := slices.Clone(posts)
	slices.SortStableFunc(left, func(a, b *post) int { return strings.Compare(string(a.conv), string(b.conv)) })
	for len(left) > 0 {
		g := group{s: s, posts: left}
		err := g.try(ctx)
		left = slices.DeleteFunc(left, func(p *post) bool {
			if p.apart {
				p.err = errApart
			}
			return p.apart
		})
		if err == nil {
			g.keep()
			break
		}
		if !errors.Is(err, errAgain) {
			for _, p := range left {
				p.err = err
			}
			return
		}
	}
	if len(left) > 0 {
		s.metrics.together.Observe(float64(len(left)))
	}
	for _, p := range left {
		p.err = nil
		s.metrics.appended.Inc()
		s.out.Publish(ctx, p.ev, p.members.to...)
	}
}

// group is messages on their way through one transaction.
type group struct {
	s       *Service
	posts   []*post                         // by conversation
	rosters map[wire.ConversationID]*roster // as they are when what is written so far is committed
	of      []*post                         // whose each statement is
	add     func(query string, args ...any) // a statement
}

// try writes the messages, without those that turn out to need a transaction of
// their own. After errAgain nothing was written, and there is something to be
// had from another try.
func (g *group) try(ctx context.Context) error {
	err := g.s.db.TwoTrips(ctx, g.ask, g.write)
	var failed *sqldb.StatementError
	if errors.As(err, &failed) && sqldb.IsConflict(err) { // it was sent before
		g.of[failed.At].apart = true
		return errAgain
	}
	return err
}

// ask takes the numbers, and reads the members where they are not known.
func (g *group) ask(b *sqldb.Batch) {
	for _, p := range g.posts {
		p.seq, p.seats = 0, nil
		b.Query(takeFreeNumber, func(r sqldb.Row) error { return r.Scan(&p.seq, &p.version) }, p.rec.Time.UnixMilli(), p.conv)
		if p.need {
			b.Query(selectSeats, func(r sqldb.Row) error {
				m, err := scanSeat(r)
				p.seats = append(p.seats, m)
				return err
			}, p.conv)
		}
	}
}

// write decides who may write, and writes.
func (g *group) write(add func(query string, args ...any)) error {
	g.rosters, g.of, g.add = map[wire.ConversationID]*roster{}, g.of[:0], add
	var again error
	for _, p := range g.posts {
		if p.seq == 0 { // its conversation is locked, or there is none
			p.apart = true
			continue
		}
		r := g.roster(p)
		switch {
		case r == nil: // the list that is known is old
			p.need, again = true, errAgain
		case allow(p.by, r, toWrite) != nil: // its number must be given back
			p.apart, again = true, errAgain
		default:
			g.writeOne(p, r)
		}
	}
	return again
}

// roster returns the members of p's conversation, nil if they must be read.
func (g *group) roster(p *post) *roster {
	if r := g.rosters[p.conv]; r != nil {
		return r
	}
	r := g.s.rosters.get(p.conv, p.version)
	if r == nil && p.need {
		r = sortedRoster(p.version, p.seats)
	}
	g.rosters[p.conv] = r
	return r
}

func (g *group) writeOne(p *post, r *roster) {
	rec := &p.rec
	g.statement(p, insertNewEntry, p.conv, p.seq, rec.ID, rec.Type, rec.Author, rec.clientID, rec.about, rec.Time.UnixMilli(), string(rec.Data))
	if m, ok := r.seat(p.by.User); ok && !m.accepted { // who answers lets the others in
		g.statement(p, changeRoster, p.conv)
		g.statement(p, acceptMember, p.conv, p.by.User)
		g.rosters[p.conv] = r.accepting(p.by.User)
	}
	p.members = r
	p.ev = wire.Event{ID: rec.ID, Type: rec.Type, Conversation: p.conv, Seq: p.seq, Time: rec.Time, Author: rec.Author, Data: rec.Data}
}

func (g *group) statement(p *post, query string, args ...any) {
	g.of = append(g.of, p)
	g.add(query, args...)
}

// keep remembers the members as they have been committed.
func (g *group) keep() {
	now := g.s.now()
	for conv, r := range g.rosters {
		if r != nil {
			g.s.rosters.put(conv, r, now)
		}
	}
}
