package cluster_test

import (
	"syscall"
	"testing"
	"time"
)

// faults are what happens to a cluster of three nodes while people chat over
// it. Each puts everything right again.
var faults = []struct {
	name string
	do   func(t *testing.T, w *world, c *chat)
}{
	{"node killed", func(_ *testing.T, w *world, c *chat) {
		w.nodes[0].kill()
		c.progress(10)
		w.nodes[0].start()
	}},
	{"node stopped politely", func(_ *testing.T, w *world, c *chat) {
		w.nodes[1].end(syscall.SIGTERM)
		c.progress(10)
		w.nodes[1].start()
	}},
	{"Redis killed", func(t *testing.T, w *world, c *chat) {
		w.stores.redis.Kill()
		after(t, lasting(time.Second, 20*time.Second))
		w.stores.redis.Restart()
	}},
	{"Redis frozen", func(t *testing.T, w *world, c *chat) {
		w.stores.redis.Freeze()
		after(t, lasting(time.Second, 20*time.Second))
		w.stores.redis.Thaw()
	}},
	{"PostgreSQL killed", func(t *testing.T, w *world, _ *chat) {
		w.stores.postgres.kill()
		after(t, lasting(500*time.Millisecond, 10*time.Second))
		w.stores.postgres.start()
	}},
	{"node cut off from Redis", func(t *testing.T, w *world, _ *chat) {
		w.nodes[0].redis.shut()
		after(t, lasting(3*time.Second, 30*time.Second))
		w.nodes[0].redis.reopen()
	}},
	{"node cut off from the database", func(t *testing.T, w *world, c *chat) {
		w.nodes[1].database.shut()
		after(t, lasting(3*time.Second, 30*time.Second))
		c.progress(1) // people found another node
		w.nodes[1].database.reopen()
	}},
	{"clients cut off from their node", func(t *testing.T, w *world, c *chat) {
		w.nodes[2].door.shut()
		c.progress(10)
		w.nodes[2].door.reopen()
	}},
	{"node frozen", func(t *testing.T, w *world, _ *chat) {
		w.nodes[0].signal(syscall.SIGSTOP)
		after(t, lasting(4*time.Second, 20*time.Second))
		w.nodes[0].signal(syscall.SIGCONT)
	}},
	{"disk of the database full", func(t *testing.T, w *world, c *chat) {
		w.stores.postgres.limitFiles("1")
		c.standstill()
		after(t, lasting(time.Second, 10*time.Second))
		w.stores.postgres.limitFiles("unlimited")
		w.stores.postgres.kill()
		w.stores.postgres.start()
	}},
}

// Whatever fails, every acknowledged message is there once, in order, for
// everybody, and every other one at most once.
func TestChat_SurvivesFaults(t *testing.T) {
	w := newWorld(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			c := w.newChat(t, 6)
			f.do(t, w, c)
			for _, n := range w.nodes {
				n.awaitReady(200)
			}
			c.check()
		})
	}
}
