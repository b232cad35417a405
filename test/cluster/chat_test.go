package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/internal/redisdb/redistest"
	"parley/internal/sqldb"
	"parley/wire"
)

// stores are what the nodes share.
type stores struct {
	postgres *postgres
	redis    *redistest.Server
	redisURL string // used instead of redis, without a gate
}

// world is three nodes on their stores.
type world struct {
	t      *testing.T
	stores stores
	nodes  []*node
	rounds int
	// version is the binary of new nodes; empty: the one under test.
	version string
}

// newWorld starts the stores and the nodes, all nodes at once.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, binary)
}

// newWorldOf is newWorld with nodes of some version.
func newWorldOf(t *testing.T, version string) *world {
	t.Helper()
	w := &world{t: t, stores: stores{postgres: startPostgres(t), redis: redistest.Start(t)}, version: version}
	w.addNodes(3)
	return w
}

func (w *world) addNodes(count int, sets ...string) {
	w.t.Helper()
	for range count {
		n := plan(w.t, w.stores, sets...)
		if w.version != "" {
			n.binary = w.version
		}
		n.launch()
		w.nodes = append(w.nodes, n)
	}
	for _, n := range w.nodes {
		n.awaitReady(200)
	}
}

// chat is a conversation of several people, spread over the nodes, who talk.
type chat struct {
	t       *testing.T
	w       *world
	conv    wire.ConversationID
	people  []*talker
	own     []*gate // the first one's way to the nodes, which nobody else takes
	stop    context.CancelFunc
	talking sync.WaitGroup
}

// newChat makes people talk until check.
func (w *world) newChat(t *testing.T, people int) *chat {
	t.Helper()
	w.rounds++
	c := &chat{t: t, w: w}
	var doors []*gate
	for _, n := range w.nodes {
		doors, c.own = append(doors, n.door), append(c.own, newGate(t, n.listen))
	}
	var members []string
	for i := range people {
		p := newTalker(t, wire.UserID(fmt.Sprintf("p%dx%d", w.rounds, i)), doors, i)
		if i == 0 {
			p.doors = c.own
		}
		c.people = append(c.people, p)
		members = append(members, string(p.user))
	}
	var made struct{ ID wire.ConversationID }
	in := map[string]any{"kind": "group", "title": "Everybody", "members": members, "client_id": fmt.Sprint("round-", w.rounds)}
	if err := w.nodes[0].rest().Do(t.Context(), "POST", "/v1/conversations", "", in, &made); err != nil {
		t.Fatal(err)
	}
	c.conv = made.ID
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for _, p := range c.people {
		p.conv = c.conv
		c.talking.Go(func() { p.talk(ctx) })
	}
	t.Cleanup(func() {
		stop()
		c.talking.Wait()
		for _, p := range c.people {
			p.leave()
		}
	})
	c.progress(10)
	return c
}

// progress waits until each person had so many more messages acknowledged.
func (c *chat) progress(more int) { c.t.Helper(); c.progressOf(c.people, more) }

func (c *chat) progressOf(people []*talker, more int) {
	c.t.Helper()
	for _, p := range people {
		had := p.acknowledged()
		until(c.t, fmt.Sprintf("%s to be heard", p.user), func() bool { return p.acknowledged() >= had+more })
	}
}

// standstill waits until nothing has been acknowledged for half a second.
func (c *chat) standstill() {
	c.t.Helper()
	last, since := -1, time.Now()
	until(c.t, "the chat to stand still", func() bool {
		acks := 0
		for _, p := range c.people {
			acks += p.acknowledged()
		}
		if acks != last {
			last, since = acks, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	})
}

func (p *talker) acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acks
}

// check ends the chat and compares what each person has with the database.
func (c *chat) check() {
	c.t.Helper()
	c.progress(5)
	c.stop()
	c.talking.Wait()
	log := c.w.stored(c.t, c.conv)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var sent, acked, moved, gaps int
	var settling sync.WaitGroup
	for _, p := range c.people {
		settling.Go(func() {
			if err := p.settle(ctx, int64(len(log))); err != nil {
				c.t.Errorf("%s has %d of %d entries: %v", p.user, p.last(), len(log), err)
			}
		})
	}
	settling.Wait()
	for _, p := range c.people {
		p.compare(log)
		sent, acked, moved, gaps = sent+len(p.sent), acked+p.acks, moved+p.moved, gaps+p.gaps
	}
	c.t.Logf("%d people sent %d messages, %d acknowledged, %d in the log; %d reconnects, %d gaps paged", len(c.people), sent, acked, len(log), moved, gaps)
}

// row is an entry as the database has it.
type row struct {
	seq              int64
	id, author, sent string
}

// stored reads a conversation's log past all nodes.
func (w *world) stored(t *testing.T, conv wire.ConversationID) (log []row) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: w.stores.postgres.url(w.stores.postgres.addr)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // only read
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT seq, id, author, client_id FROM entries WHERE conversation = ? ORDER BY seq", string(conv))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is in Err
		for log = nil; rows.Next(); {
			var r row
			if err := rows.Scan(&r.seq, &r.id, &r.author, &r.sent); err != nil {
				return err
			}
			log = append(log, r)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// compare checks p's notes against the log: it is numbered without a gap;
// every acknowledged message of p is in it once, where the answer said; every
// other one at most once; and what reached p is all of it, once and in order.
func (p *talker) compare(log []row) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	found := map[string]int{}
	for i, r := range log {
		if r.seq != int64(i+1) {
			p.t.Fatalf("the log has %d where %d belongs", r.seq, i+1)
		}
		if r.author != string(p.user) || r.sent == "" {
			continue
		}
		found[r.sent]++
		out := p.sent[r.sent]
		if out == nil {
			p.t.Errorf("entry %d is a message %s that %s never sent", r.seq, r.sent, p.user)
		} else if out.acked && (out.seq != r.seq || out.id != r.id) {
			p.t.Errorf("%s was acknowledged as %d %s, but is %d %s", r.sent, out.seq, out.id, r.seq, r.id)
		}
	}
	for id, out := range p.sent {
		if n := found[id]; n > 1 || out.acked && n == 0 {
			p.t.Errorf("%s (acknowledged: %v) is %d times in the log", id, out.acked, n)
		}
	}
	for i, e := range p.log {
		if i >= len(log) || e.seq != log[i].seq || e.id != log[i].id {
			p.t.Errorf("%s got entry %d %s as number %d of %d", p.user, e.seq, e.id, i+1, len(log))
			break
		}
	}
	if len(p.log) != len(log) {
		p.t.Errorf("%s got %d entries of %d", p.user, len(p.log), len(log))
	}
	for _, problem := range p.problems {
		p.t.Errorf("%s was refused: %s", p.user, problem)
	}
}
