package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/client"
	"parley/internal/redisdb/redistest"
	"parley/wire"
)

// silence is an Opus frame of 20 ms (RFC 6716: CELT, fullband, one frame, empty).
var silence = []byte{0xf8, 0xff, 0xfe}

// speaker is a person in a call's room, who speaks and joins anew as the call's
// record says.
type speaker struct {
	t    *testing.T
	conn *client.Conn
	call wire.CallID
	room *client.RoomCall

	mu    sync.Mutex
	named int           // the room of the newest record
	last  int64         // its version
	news  chan struct{} // a sign that named has changed
}

func (s *speaker) take(ev wire.Event) {
	var d struct {
		Call struct {
			ID      wire.CallID
			Room    int
			Version int64
		}
	}
	if ev.Type != "call.updated" || json.Unmarshal(ev.Data, &d) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.Call.Version > s.last {
		s.named, s.last = d.Call.Room, d.Call.Version
		select {
		case s.news <- struct{}{}:
		default:
		}
	}
}

func newSpeaker(t *testing.T, n *node, user string) *speaker {
	t.Helper()
	token, err := exec.CommandContext(t.Context(), binary, "token", "--set", "auth.secret="+secret, user).Output() //nolint:gosec // the node under test
	if err != nil {
		t.Fatal(err)
	}
	s := &speaker{t: t, news: make(chan struct{}, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.conn, err = client.Dial(ctx, client.Options{
		SocketURL: "ws://" + n.listen + "/v1/socket", Token: strings.TrimSpace(string(token)), Device: wire.DeviceID("dev_" + user), OnEvent: s.take,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.conn.Close)
	return s
}

// do calls an operation that must succeed.
func (s *speaker) do(method string, params map[string]any, result any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.conn.Call(ctx, method, params, result); err != nil {
		s.t.Fatalf("%s: %v", method, err)
	}
}

// enter joins the room and speaks until the test ends.
func (s *speaker) enter(call wire.CallID) {
	s.t.Helper()
	s.call = call
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var err error
	if s.room, err = client.JoinRoom(ctx, s.conn, call, nil); err != nil {
		s.t.Fatal(err)
	}
	live, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	s.t.Cleanup(func() { end(); all.Wait(); s.room.Close() })
	all.Go(func() {
		for live.Err() == nil {
			_ = s.room.Say(silence) // the connection may be changing
			pause(live, 20*time.Millisecond)
		}
	})
	all.Go(func() { s.follow(live) })
}

func (s *speaker) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.news:
		}
		s.mu.Lock()
		room := s.named
		s.mu.Unlock()
		for room > s.room.Room() && s.room.Move(ctx, s.conn, room) != nil && ctx.Err() == nil {
			pause(ctx, 200*time.Millisecond)
		}
	}
}

// hears reports whether packets come in the nth room.
func (s *speaker) hears(nth int) bool {
	if s.room.Room() != nth {
		return false
	}
	before := s.room.Heard()
	pause(s.t.Context(), 200*time.Millisecond)
	return s.room.Heard() >= before+5
}

// The node that has a call's room is killed: people on the others, who hear
// nothing any more, are told of a room elsewhere before they are given up.
func TestCall_OutlivesTheNodeThatHasItsRoom(t *testing.T) {
	w := &world{t: t, stores: stores{postgres: startPostgres(t), redis: redistest.Start(t)}}
	w.addNodes(3, "media.enabled=true", "media.udp=127.0.0.1:0")
	people := []*speaker{newSpeaker(t, w.nodes[0], "ann"), newSpeaker(t, w.nodes[1], "ben"), newSpeaker(t, w.nodes[2], "cid")}
	var made struct{ ID wire.ConversationID }
	in := map[string]any{"kind": "group", "title": "Everybody", "members": []string{"ann", "ben", "cid"}, "client_id": "round"}
	if err := w.nodes[0].rest().Do(t.Context(), "POST", "/v1/conversations", "", in, &made); err != nil {
		t.Fatal(err)
	}
	var started struct{ Call struct{ ID wire.CallID } }
	people[0].do("calls.start", map[string]any{"conversation": made.ID, "client_id": "call"}, &started)
	call := started.Call.ID
	people[0].enter(call) // chooses its own node
	for _, p := range people[1:] {
		p.do("calls.answer", map[string]any{"call": call}, nil)
		p.enter(call)
	}
	for i, p := range people {
		until(t, fmt.Sprintf("person %d to hear the others", i), func() bool { return p.hears(1) })
	}
	w.nodes[0].kill()
	killed := time.Now()
	for i, p := range people[1:] {
		until(t, fmt.Sprintf("person %d to hear the other one elsewhere", i+1), func() bool { return p.hears(2) })
	}
	took := time.Since(killed)
	t.Logf("heard again %v after the node was killed", took.Round(10*time.Millisecond))
	if took > 20*time.Second {
		t.Errorf("heard again after %v", took)
	}
	var now struct {
		State        string
		Participants []struct{ User, State string }
	}
	people[1].do("calls.get", map[string]any{"call": call}, &now)
	for _, p := range now.Participants {
		if p.User != "ann" && p.State != "connected" {
			t.Errorf("%s is %s", p.User, p.State)
		}
	}
}
