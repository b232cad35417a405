package signaling_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/signaling"
	"parley/wire"
)

// refusals are the errors that a random walk may meet.
var refusals = []error{
	signaling.ErrState, signaling.ErrTaken, signaling.ErrNotParticipant, signaling.ErrUnknown,
	signaling.ErrInput, signaling.ErrConversationUnknown,
}

// serviceWalk does random things on two nodes over one database.
type serviceWalk struct {
	w     *world
	nodes [2]*signaling.Service
	user  func(i int) wire.UserID
	conv  wire.ConversationID
	calls []wire.CallID
	ended map[wire.CallID]bool
}

func (s *serviceWalk) act(t *rapid.T) error {
	node := s.nodes[rapid.IntRange(0, 1).Draw(t, "node")]
	c := wire.Caller{Role: wire.RoleUser, User: s.user(rapid.IntRange(0, 3).Draw(t, "user")),
		Device: wire.DeviceID(rapid.SampledFrom([]string{"d1", "d2"}).Draw(t, "device"))}
	ctx := s.w.t.Context()
	what := rapid.IntRange(0, 13).Draw(t, "what")
	if what <= 1 || len(s.calls) == 0 {
		in := signaling.Start{ClientID: fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "client"))}
		if in.Conversation = s.conv; what == 0 {
			in = signaling.Start{ClientID: in.ClientID, To: []wire.UserID{s.user(rapid.IntRange(0, 3).Draw(t, "to"))}}
		}
		j, err := node.Start(ctx, c, in)
		if err == nil {
			s.calls = append(s.calls, j.Call.ID)
		}
		return err
	}
	id := s.calls[rapid.IntRange(max(0, len(s.calls)-3), len(s.calls)-1).Draw(t, "call")]
	var err error
	switch what {
	case 2, 3, 4:
		_, err = node.Answer(ctx, c, id, "")
	case 5:
		_, err = node.Connected(ctx, c, id, rapid.SampledFrom([]signaling.Route{signaling.RouteDirect, signaling.RouteSFU}).Draw(t, "route"))
	case 6:
		err = node.Report(ctx, c, id, signaling.Report{Alive: rapid.Bool().Draw(t, "alive")})
	case 7:
		err = node.Signal(ctx, c, signaling.Signal{Call: id, Kind: signaling.SignalRestart})
	case 8:
		_, err = node.Hangup(ctx, c, id)
	case 9:
		_, err = node.Decline(ctx, c, id, "")
	case 10:
		_, err = node.Invite(ctx, c, id, s.user(rapid.IntRange(0, 3).Draw(t, "invitee")))
	case 11:
		_, err = node.Verify(ctx, c, id, transcript(rapid.IntRange(1, 2).Draw(t, "words")), true)
	case 12:
		err = node.SFUAlive(ctx, "node_1", id, c.User, true)
	default:
		s.w.clock.Advance(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second)
		err = node.Sweep(ctx)
	}
	return err
}

// check looks at what went out and at what is stored.
func (s *serviceWalk) check(t *rapid.T) {
	for _, out := range s.w.sent.take() {
		var data struct {
			Call wire.CallID `json:"call"`
		}
		if out.Type == "call.signal" && json.Unmarshal(out.Data, &data) == nil && s.ended[data.Call] {
			t.Fatalf("a media signal after the end of %s", data.Call)
		}
	}
	for _, id := range s.calls {
		v := s.w.get(id)
		if s.ended[id] && v.State != signaling.Ended {
			t.Fatalf("%s came back from its end", id)
		}
		s.ended[id] = v.State == signaling.Ended
	}
	for name, query := range map[string]string{
		"present in two calls":      "SELECT user_id, '', '' FROM call_members WHERE part >= 2 GROUP BY user_id HAVING count(*) > 1",
		"alive in an ended call":    "SELECT a.user_id, a.call_id, '' FROM call_alive a JOIN calls c ON c.id = a.call_id WHERE c.state = 'ended'",
		"part in an ended call":     "SELECT m.user_id, m.call_id, '' FROM call_members m JOIN calls c ON c.id = m.call_id WHERE c.state = 'ended' AND m.part > 0",
		"deadline of an ended call": "SELECT id, '', '' FROM calls WHERE state = 'ended' AND (deadline > 0 OR ring_key <> '')",
		"nothing watches over":      "SELECT id, state, '' FROM calls c WHERE state <> 'ended' AND deadline = 0 AND NOT EXISTS (SELECT 1 FROM call_alive a WHERE a.call_id = c.id)",
	} {
		s.w.view(query, func(a, b, _ string) { t.Fatalf("%s: %s %s", name, a, b) })
	}
}

func TestService_RandomWalksOnTwoNodes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		n := 0
		nodes := [2]*signaling.Service{w.calls, w.node()}
		rapid.Check(t, func(t *rapid.T) {
			n++
			walk := n
			s := &serviceWalk{w: w, nodes: nodes, ended: map[wire.CallID]bool{}, conv: wire.ConversationID(fmt.Sprint("conv_w", walk)),
				user: func(i int) wire.UserID { return wire.UserID(fmt.Sprintf("u%d.%d", walk, i)) }}
			w.members[s.conv] = []wire.UserID{s.user(0), s.user(1), s.user(2)}
			for range rapid.IntRange(1, 25).Draw(t, "steps") {
				if err := s.act(t); err != nil {
					allowed := false
					for _, r := range refusals {
						allowed = allowed || errors.Is(err, r)
					}
					if !allowed {
						t.Fatal(err)
					}
				}
				s.check(t)
			}
		})
	})
}
