package app_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"parley/client"
	"parley/internal/redisdb/redistest"
	"parley/wire"
)

// voice is a person's part in a room: it speaks all the time, follows the room
// where it goes, and notes on which sections it hears somebody.
type voice struct {
	*person
	call wire.CallID
	room *client.RoomCall
	// elsewhere is where follow goes when the socket is closed; nil: nowhere.
	elsewhere *node

	mu    sync.Mutex
	mids  map[int]map[string]int // packets by room and section
	moved error
}

// enter joins the call's room and speaks until the test ends.
func (p *person) enter(call string, elsewhere *node) *voice {
	p.t.Helper()
	v := &voice{person: p, call: wire.CallID(call), elsewhere: elsewhere, mids: map[int]map[string]int{}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	joined := make(chan struct{})
	var err error
	v.room, err = client.JoinRoom(ctx, p.conn, v.call, func(mid string, _ *rtp.Packet) {
		<-joined
		v.mu.Lock()
		defer v.mu.Unlock()
		room := v.room.Room()
		if v.mids[room] == nil {
			v.mids[room] = map[string]int{}
		}
		v.mids[room][mid]++
	})
	close(joined)
	if err != nil {
		p.t.Fatalf("%s joins: %v", p.user, err)
	}
	speaking, hush := context.WithCancel(context.Background())
	var live sync.WaitGroup
	p.t.Cleanup(func() { hush(); live.Wait(); v.room.Close() })
	live.Go(func() { v.speak(speaking) })
	live.Go(func() { v.follow(speaking) })
	return v
}

func (v *voice) speak(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = v.room.Say(silence) // the connection may be changing
		case <-ctx.Done():
			return
		}
	}
}

// follow joins anew whenever the call's record names another room, over a socket
// to another node when the one at hand is closed.
func (v *voice) follow(ctx context.Context) {
	named := 0
	for ctx.Err() == nil {
		v.person.mu.Lock()
		news := v.news
		v.person.mu.Unlock()
		if room := v.told(); room > named {
			named = room
		}
		var err error
		if named > v.room.Room() {
			err = v.room.Move(ctx, v.conn, named)
		}
		v.note(err)
		select {
		case <-news:
		case <-v.conn.Done():
			if v.elsewhere == nil || ctx.Err() != nil {
				return
			}
			v.person.n, v.elsewhere = v.elsewhere, nil
			v.person.connect(nil)
			named = max(named, int(v.do("calls.get", map[string]any{"call": v.call})["room"].(float64)))
		case <-ctx.Done():
		}
	}
}

func (v *voice) note(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		v.moved = err
	}
}

// told is the room that the newest record of the call names that came.
func (v *voice) told() (room int) {
	v.person.mu.Lock()
	defer v.person.mu.Unlock()
	version := int64(0)
	for _, ev := range v.events {
		var d struct {
			Call struct {
				ID      wire.CallID
				Room    int
				Version int64
			}
		}
		if ev.Type == "call.updated" && json.Unmarshal(ev.Data, &d) == nil && d.Call.ID == v.call && d.Call.Version > version {
			room, version = d.Call.Room, d.Call.Version
		}
	}
	return room
}

// awaitHears waits until as many others are heard in room.
func (v *voice) awaitHears(room, others int) {
	v.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		v.mu.Lock()
		heard := 0
		for _, packets := range v.mids[room] {
			if packets >= 10 {
				heard++
			}
		}
		moved, all := v.moved, v.mids
		v.mu.Unlock()
		if heard == others {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			v.t.Fatalf("%s hears %v, want %d others in room %d; moving: %v", v.user, all, others, room, moved)
		}
	}
}

// awaitRooms waits until the list shows so many rooms on each node.
func (n *node) awaitRooms(want map[*node]int) {
	n.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		var list struct {
			Items []struct {
				Address string
				Load    struct{ Rooms int }
			}
		}
		if err := n.server("").Do(context.Background(), "GET", "/v1/nodes", "", nil, &list); err != nil {
			n.t.Fatal(err)
		}
		right := 0
		for _, shown := range list.Items {
			for one, rooms := range want {
				if shown.Address == one.info.URL && shown.Load.Rooms == rooms {
					right++
				}
			}
		}
		if right == len(want) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			n.t.Fatalf("nodes %+v", list.Items)
		}
	}
}

// table has members of the demo's group in a call, each on a node. When that
// closes their sockets they go elsewhere.
func table(t *testing.T, at map[string]*node, elsewhere *node, order ...string) map[string]*voice {
	t.Helper()
	voices := map[string]*voice{}
	var call string
	for i, user := range order {
		p := at[user].join(user, user)
		if i == 0 {
			call = startCall(p, map[string]any{"conversation": p.groupNamed("Dinner club"), "client_id": "dinner"})
		} else {
			p.do("calls.answer", map[string]any{"call": call})
		}
		voices[user] = p.enter(call, elsewhere)
	}
	return voices
}

// groupNamed is the id of the person's conversation with that title.
func (p *person) groupNamed(title string) string {
	p.t.Helper()
	items := p.do("conversations.list", map[string]any{})["items"].([]any)
	i := slices.IndexFunc(items, func(v any) bool { return v.(map[string]any)["title"] == title })
	if i < 0 {
		p.t.Fatalf("no conversation %q in %v", title, items)
	}
	return items[i].(map[string]any)["id"].(string)
}

// People on different nodes are in one room, on the node that the first to join
// chose, and hear each other.
func TestNodes_OneRoomForAGroupCall(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		b.awaitNodes(a.info.URL, b.info.URL)
		voices := table(t, map[string]*node{"buyer": a, "mira": b, "jonas": a, "lea": b}, nil, "buyer", "mira", "jonas", "lea")
		for _, v := range voices {
			v.awaitHears(1, 3)
		}
		b.awaitRooms(map[*node]int{a: 1, b: 0})

		// What is done to the room reaches the node that has it, whoever says so.
		mira := voices["mira"]
		if err := b.server("").Do(t.Context(), "POST", "/v1/calls/"+string(mira.call)+"/prompt", "", map[string]any{"prompt": "nonsense"}, nil); err == nil {
			t.Error("an unknown prompt was played")
		} else {
			wantCode(t, err, "prompt_unknown")
		}
		mira.refused("sdp_invalid", "calls.join", map[string]any{"call": mira.call, "sdp": "v=0\r\na=fingerprint:sha-256 " + fingerprint + "\r\n"})
		mira.do("calls.hangup", map[string]any{"call": mira.call})
		voices["buyer"].await("mira's leaving", func(ev wire.Event, d map[string]any) bool {
			return ev.Type == "call.slots" && len(d["slots"].([]any)) == 2
		})
	})
}

const fingerprint = "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99"

// The node that has the room is drained: everybody, also those whose socket is
// elsewhere, is heard in a room on the other one, and nobody has left the call.
func TestNodes_ARoomMovesWhenItsNodeIsDrained(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		a.awaitNodes(a.info.URL, b.info.URL)
		voices := table(t, map[string]*node{"buyer": a, "mira": b, "jonas": b}, b, "buyer", "mira", "jonas")
		for _, v := range voices {
			v.awaitHears(1, 2)
		}
		drained := make(chan error, 1)
		go func() {
			drained <- b.server("").Do(t.Context(), "POST", "/v1/nodes/"+a.id()+"/drain", "", map[string]any{"within_s": 10}, nil)
		}()
		for _, v := range voices {
			v.awaitHears(2, 2)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		b.awaitRooms(map[*node]int{b: 1})
		call := voices["mira"].do("calls.get", map[string]any{"call": voices["mira"].call})
		for _, p := range call["participants"].([]any) {
			if got := p.(map[string]any); got["user"] != "lea" && got["state"] != "connected" {
				t.Errorf("got %v", got)
			}
		}
	})
}

// The same when the node ends.
func TestNodes_ARoomMovesWhenItsNodeEnds(t *testing.T) {
	twoNodes(t, func(_ *testing.T, a, b *node, _ *redistest.Server) {
		b.awaitNodes(a.info.URL, b.info.URL)
		voices := table(t, map[string]*node{"mira": b, "jonas": b}, a, "mira", "jonas")
		for _, v := range voices {
			v.awaitHears(1, 1)
		}
		a.awaitRooms(map[*node]int{a: 0, b: 1}) // where the first to join is
		ended := make(chan struct{})
		go func() { defer close(ended); b.stop() }()
		for _, v := range voices {
			v.awaitHears(2, 1)
		}
		<-ended
		a.awaitRooms(map[*node]int{a: 1})
	})
}
