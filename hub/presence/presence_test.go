package presence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/hub/presence"
	"parley/internal/clock"
	"parley/internal/redisdb"
	"parley/internal/redisdb/redistest"
	"parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a board whose people are all peers of "ann" and of nobody else.
type house struct {
	*testing.T
	presence.Board

	mu      sync.Mutex
	told    []string // "user state" or "user offline <seconds since the start>"
	to      []wire.To
	stored  map[wire.UserID]time.Time
	during  func() // called while something is being published
	refuse  error  // what Peers and SaveSeen answer, if not nil
	started time.Time
}

func (h *house) Publish(_ context.Context, ev wire.Event, to ...wire.To) {
	if h.during != nil {
		h.during()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var p wire.Presence
	if err := json.Unmarshal(ev.Data, &p); err != nil || ev.Type != "presence.updated" || ev.Seq != 0 {
		h.Errorf("published %+v: %v", ev, err)
	}
	h.told = append(h.told, h.word(p))
	h.to = to
}

func (h *house) word(p wire.Presence) string {
	if p.LastSeen == nil {
		return fmt.Sprintf("%s %s", p.User, p.State)
	}
	return fmt.Sprintf("%s %s %v", p.User, p.State, p.LastSeen.Sub(h.started).Seconds())
}

func (h *house) Peers(_ context.Context, u wire.UserID) ([]wire.UserID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u == "ann" {
		return []wire.UserID{"bob", "cid"}, h.refuse
	}
	return []wire.UserID{"ann"}, h.refuse
}

func (h *house) SaveSeen(_ context.Context, seen map[wire.UserID]time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	for u, at := range seen {
		h.stored[u] = at
	}
	return nil
}

func (h *house) LoadSeen(_ context.Context, users []wire.UserID) (map[wire.UserID]time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[wire.UserID]time.Time{}
	for _, u := range users {
		if at, ok := h.stored[u]; ok {
			found[u] = at
		}
	}
	return found, h.refuse
}

// running is a Board with its Run.
type running interface {
	presence.Board
	Run(ctx context.Context) error
}

// in runs f on every kind of board, running in a bubble whose clock stands
// still while something runs.
func in(t *testing.T, f func(h *house)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		live(t, f, func(d presence.Deps) (running, func()) { return presence.NewMemory(presence.Config{}, d), func() {} })
	})
	t.Run("redis", func(t *testing.T) {
		at := redistest.Start(t).Config()
		live(t, f, func(d presence.Deps) (running, func()) { return onRedis(t, at, "node_1", d) })
	})
}

// onRedis makes the board of one node of several, and what closes its connections.
func onRedis(t *testing.T, at redisdb.Config, node string, d presence.Deps) (*presence.Redis, func()) {
	t.Helper()
	c, err := redisdb.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	return presence.NewRedis(presence.RedisConfig{Client: c, Node: node}, d), func() { _ = c.Close() }
}

func live(t *testing.T, f func(h *house), board func(presence.Deps) (running, func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{T: t, stored: map[wire.UserID]time.Time{}, started: time.Now()}
		b, closeIt := board(presence.Deps{Clock: clock.System{}, Publisher: h, Peers: h, Seen: h})
		h.Board = b
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		f(h)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		closeIt()
	})
}

// pass lets time go by and everything settle.
func (h *house) pass(d time.Duration) {
	h.Helper()
	if err := (clock.System{}).Wait(h.Context(), time.Now().Add(d)); err != nil {
		h.Fatal(err)
	}
	synctest.Wait()
}

func (h *house) touch(u wire.UserID, d wire.DeviceID, s wire.PresenceState) {
	h.Helper()
	if err := h.Touch(h.Context(), u, d, s); err != nil {
		h.Fatal(err)
	}
	synctest.Wait()
}

func (h *house) leave(u wire.UserID, d wire.DeviceID) {
	h.Helper()
	if err := h.Leave(h.Context(), u, d); err != nil {
		h.Fatal(err)
	}
	synctest.Wait()
}

func (h *house) inCall(u wire.UserID, on bool) {
	h.Helper()
	if err := h.SetInCall(h.Context(), u, on); err != nil {
		h.Fatal(err)
	}
	synctest.Wait()
}

// hears checks what was published since the last time.
func (h *house) hears(want ...string) {
	h.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.told, want) {
		h.Errorf("heard %q, want %q", h.told, want)
	}
	h.told = nil
}

func (h *house) sees(u wire.UserID, want string) {
	h.Helper()
	got, err := h.Get(h.Context(), []wire.UserID{u})
	if err != nil {
		h.Fatal(err)
	}
	if w := h.word(got[0]); w != string(u)+" "+want {
		h.Errorf("sees %q, want %q", w, want)
	}
}

func TestState_SumsUpTheDevices(t *testing.T) {
	in(t, func(h *house) {
		h.sees("ann", "offline")
		h.touch("ann", "dev_1", wire.Away)
		h.hears("ann away")
		h.touch("ann", "dev_2", "")
		h.hears("ann online")
		h.touch("ann", "dev_2", wire.Away)
		h.hears("ann away")
		h.touch("ann", "dev_1", wire.Online)
		h.touch("ann", "dev_1", "") // a heartbeat keeps the state
		h.hears("ann online")
		h.inCall("ann", true)
		h.hears("ann in_call")
		h.touch("ann", "dev_1", wire.Away)
		h.hears()
		h.inCall("ann", false)
		h.hears("ann away")
		h.sees("ann", "away")
	})
}

func TestState_IsToldToPeersAndOnesOwnDevices(t *testing.T) {
	in(t, func(h *house) {
		h.touch("ann", "dev_1", wire.Online)
		if want := []wire.To{{User: "bob"}, {User: "cid"}, {User: "ann"}}; !slices.Equal(h.to, want) {
			t.Errorf("told %v, want %v", h.to, want)
		}
	})
}

func TestLeave_ReloadDoesNotFlicker(t *testing.T) {
	in(t, func(h *house) {
		h.touch("bob", "dev_1", wire.Online)
		h.hears("bob online")
		for range 100 {
			h.leave("bob", "dev_1")
			h.pass(4 * time.Second)
			h.touch("bob", "dev_1", "")
		}
		h.pass(10 * time.Second)
		h.hears()
		h.sees("bob", "online")
	})
}

func TestLeave_LastDeviceTurnsOfflineAfterGrace(t *testing.T) {
	in(t, func(h *house) {
		h.touch("bob", "dev_1", wire.Online)
		h.touch("bob", "dev_2", wire.Away)
		h.pass(10 * time.Second)
		h.leave("bob", "dev_1")
		h.pass(4 * time.Second)
		h.hears("bob online")
		h.pass(2 * time.Second)
		h.hears("bob away")
		h.leave("bob", "dev_2") // at 16 s
		h.pass(2 * time.Second)
		h.leave("bob", "dev_2")
		h.leave("bob", "dev_3")
		h.leave("eve", "dev_1")
		h.pass(2 * time.Second)
		h.sees("bob", "away")
		h.hears()
		h.pass(2 * time.Second)
		h.hears("bob offline 16")
		h.sees("bob", "offline 16")
		h.touch("bob", "dev_1", wire.Online)
		h.hears("bob online")
	})
}

func TestLease_ExpiresWithoutTouch(t *testing.T) {
	in(t, func(h *house) {
		h.touch("bob", "dev_1", wire.Online)
		for range 10 {
			h.pass(25 * time.Second)
			h.touch("bob", "dev_1", "")
		}
		h.hears("bob online")
		h.pass(89 * time.Second)
		h.hears()
		h.pass(2 * time.Second)
		h.hears("bob offline 250")
	})
}

func TestInCall_ShowsOnlyWhileConnected(t *testing.T) {
	in(t, func(h *house) {
		h.inCall("bob", true)
		h.sees("bob", "offline")
		h.hears()
		h.touch("bob", "dev_1", wire.Online)
		h.hears("bob in_call")
		h.leave("bob", "dev_1")
		h.pass(6 * time.Second)
		h.hears("bob offline 0")
		h.touch("bob", "dev_1", wire.Online)
		h.hears("bob in_call")
		h.leave("bob", "dev_1")
		h.pass(6 * time.Second)
		h.inCall("bob", false)
		h.touch("bob", "dev_1", wire.Online)
		h.hears("bob offline 6", "bob online")
	})
}

func TestSeen_OutlivesTheNode(t *testing.T) {
	in(t, func(h *house) {
		h.touch("bob", "dev_1", wire.Online)
		h.pass(time.Minute)
		other := presence.NewMemory(presence.Config{}, presence.Deps{Clock: clock.System{}, Publisher: h, Peers: h, Seen: h})
		got, err := other.Get(h.Context(), []wire.UserID{"ann", "bob"})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := h.word(got[0]), h.word(got[1]); a != "ann offline" || b != "bob offline 0" {
			t.Errorf("after a crash: %q, %q", a, b)
		}
		h.leave("bob", "dev_1")
		h.pass(6 * time.Second)
		got, err = other.Get(h.Context(), []wire.UserID{"bob"})
		if err != nil {
			t.Fatal(err)
		}
		if b := h.word(got[0]); b != "bob offline 60" {
			t.Errorf("after leaving: %q", b)
		}
	})
}

func TestRun_StoresWhoIsStillThereAtTheEnd(t *testing.T) {
	var h *house
	in(t, func(running *house) {
		h = running
		h.touch("bob", "dev_1", wire.Online)
		h.pass(42 * time.Second)
	})
	if got := h.stored["bob"].Sub(h.started); got != 42*time.Second {
		t.Errorf("bob was last seen at %v, want 42 s", got)
	}
}

func TestAnnounce_TriesAgainAfterAFailure(t *testing.T) {
	in(t, func(h *house) {
		h.touch("ann", "dev_1", wire.Online)
		h.hears("ann online")
		h.fail(errors.New("database is away"))
		h.touch("bob", "dev_1", wire.Online)
		h.touch("ann", "dev_1", wire.Away)
		h.pass(3 * time.Second)
		h.hears()
		h.fail(nil)
		h.pass(time.Second)
		h.mu.Lock()
		slices.Sort(h.told)
		h.mu.Unlock()
		h.hears("ann away", "bob online")
		h.fail(errors.New("database is away"))
		h.leave("bob", "dev_1")
		h.pass(30 * time.Second)
		h.fail(nil)
		h.pass(time.Second)
		h.hears("bob offline 4")
		h.sees("bob", "offline 4")
	})
}

func TestAnnounce_FailuresOfACrowdWaitForTheSweep(t *testing.T) {
	in(t, func(h *house) {
		h.fail(errors.New("database is away"))
		for i := range 600 {
			if err := h.Touch(h.Context(), wire.UserID(fmt.Sprint("user", i)), "dev_1", wire.Online); err != nil {
				t.Fatal(err)
			}
		}
		h.pass(10 * time.Second) // a busy loop would never let the bubble's time go on
		h.fail(nil)
		h.pass(5 * time.Second)
		if n := len(h.stored); n != 600 {
			t.Errorf("stored %d of 600", n)
		}
	})
}

func (h *house) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse = err
}

func TestTouch_RefusesOtherStates(t *testing.T) {
	in(t, func(h *house) {
		for _, s := range []wire.PresenceState{wire.InCall, wire.Offline, "busy"} {
			if h.Touch(h.Context(), "ann", "dev_1", s) == nil {
				t.Errorf("%q was taken", s)
			}
		}
		h.sees("ann", "offline")
	})
}

func TestAnnounce_ChangeWhileAnnouncingIsNotLost(t *testing.T) {
	in(t, func(h *house) {
		h.during = func() {
			h.during = nil
			if err := h.Touch(h.Context(), "ann", "dev_1", wire.Away); err != nil {
				t.Error(err)
			}
		}
		h.touch("ann", "dev_1", wire.Online)
		h.hears("ann online", "ann away")
	})
}

func TestAnnounce_CrowdArrivingAtOnce(t *testing.T) {
	in(t, func(h *house) {
		const crowd = 1000 // several rounds of announcing
		for i := range crowd {
			if err := h.Touch(h.Context(), wire.UserID(fmt.Sprint("user", i)), "dev_1", wire.Online); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		h.mu.Lock()
		slices.Sort(h.told)
		once := len(slices.Compact(h.told))
		h.mu.Unlock()
		if once != crowd || len(h.stored) != crowd {
			t.Errorf("told of %d and stored %d of %d", once, len(h.stored), crowd)
		}
	})
}

func TestBoard_ManyAtOnce(t *testing.T) {
	in(t, func(h *house) {
		var wg sync.WaitGroup
		for i := range 50 {
			u := wire.UserID(fmt.Sprint("user", i%10))
			wg.Go(func() {
				d := wire.DeviceID(fmt.Sprint("dev_", i))
				for range 20 {
					if err := errors.Join(h.Touch(h.Context(), u, d, wire.Online), h.SetInCall(h.Context(), u, true), h.SetInCall(h.Context(), u, false), h.Leave(h.Context(), u, d)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		h.pass(6 * time.Second)
		for i := range 10 {
			h.sees(wire.UserID(fmt.Sprint("user", i)), "offline 0")
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		last := map[string]string{}
		for _, w := range h.told {
			last[w[:5]] = w
		}
		for u, w := range last {
			if w != u+" offline 0" {
				t.Errorf("the last word about %s is %q", u, w)
			}
		}
	})
}
