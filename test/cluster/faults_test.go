package cluster_test

import (
	"syscall"
	"testing"
	"time"

	"parley/internal/redisdb/redistest"
)

// faults are what happens to a cluster of three nodes while people chat over
// it. Each puts everything right again. The ordinary run makes those of the
// sample, the long one all of them.
var faults = []struct {
	name   string
	sample bool
	do     func(t *testing.T, w *world, c *chat)
}{
	{"node killed", true, func(_ *testing.T, w *world, c *chat) {
		w.nodes[0].kill()
		c.progress(10)
		w.nodes[0].start()
	}},
	{"node stopped politely", false, func(_ *testing.T, w *world, c *chat) {
		w.nodes[1].end(syscall.SIGTERM)
		c.progress(10)
		w.nodes[1].start()
	}},
	{"Redis killed", true, func(t *testing.T, w *world, c *chat) {
		w.stores.redis.Kill()
		after(t, lasting(time.Second, 20*time.Second))
		w.stores.redis.Restart()
	}},
	{"Redis frozen", false, func(t *testing.T, w *world, c *chat) {
		w.stores.redis.Freeze()
		after(t, lasting(time.Second, 20*time.Second))
		w.stores.redis.Thaw()
	}},
	{"PostgreSQL killed", true, func(t *testing.T, w *world, _ *chat) {
		w.stores.postgres.kill()
		after(t, lasting(500*time.Millisecond, 10*time.Second))
		w.stores.postgres.start()
	}},
	{"node cut off from Redis", false, func(t *testing.T, w *world, _ *chat) {
		w.nodes[0].redis.shut()
		after(t, lasting(3*time.Second, 30*time.Second))
		w.nodes[0].redis.reopen()
	}},
	{"node cut off from the database", false, func(t *testing.T, w *world, c *chat) {
		w.nodes[1].database.shut()
		after(t, lasting(3*time.Second, 30*time.Second))
		c.progress(1) // people found another node
		w.nodes[1].database.reopen()
	}},
	{"clients cut off from their node", false, func(t *testing.T, w *world, c *chat) {
		w.nodes[2].door.shut()
		c.progress(10)
		w.nodes[2].door.reopen()
	}},
	{"one client does not read", false, func(t *testing.T, _ *world, c *chat) {
		for _, g := range c.own {
			g.shut()
		}
		after(t, lasting(2*time.Second, 60*time.Second))
		c.progressOf(c.people[1:], 10) // it is nobody else's trouble
		for _, g := range c.own {
			g.reopen()
		}
	}},
	{"nodes drained and started anew", true, func(_ *testing.T, w *world, c *chat) {
		nodes := w.nodes[:1]
		if long {
			nodes = w.nodes
		}
		for _, n := range nodes {
			n.drain(2 * time.Second)
			c.progress(5)
			n.end(syscall.SIGTERM)
			n.start()
		}
	}},
	{"drain undone", false, func(_ *testing.T, w *world, c *chat) {
		w.nodes[2].drain(time.Second)
		c.progress(5)
		w.nodes[2].undrain()
	}},
	{"node whose clock jumps", true, func(_ *testing.T, w *world, c *chat) {
		n := w.nodes[1]
		n.end(syscall.SIGTERM)
		served := n.args
		n.args = n.devArgs()
		n.start()
		c.progress(5)
		n.advance("2h")
		c.progress(10)
		n.end(syscall.SIGTERM)
		n.args = served
		n.start()
	}},
	{"node frozen", true, func(t *testing.T, w *world, _ *chat) {
		w.nodes[0].signal(syscall.SIGSTOP)
		after(t, lasting(4*time.Second, 20*time.Second))
		w.nodes[0].signal(syscall.SIGCONT)
	}},
	{"disk of the database full", false, func(t *testing.T, w *world, c *chat) {
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
		if !long && !f.sample {
			t.Logf("left to the long run (CLUSTER_LONG=1): %s", f.name)
			continue
		}
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

// A replica of Redis takes over while people chat because its master is
// killed.
func TestChat_SurvivesFailoverOfRedis(t *testing.T) {
	sentinel := redistest.StartSentinel(t)
	w := &world{t: t, stores: stores{postgres: startPostgres(t), redisURL: sentinel.Config().URLs[0]}}
	w.addNodes(2, "redis.sentinel="+sentinel.Config().Master)
	c := w.newChat(t, 4)
	sentinel.Master.Kill()
	sentinel.Replica.Await("role:master", "INFO", "replication")
	c.check()
}
