package topics_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/clock"
	"parley/topics"
	"parley/wire"
)

// stream is a topics.Streams of one topic in memory.
type stream struct {
	epoch string
	seq   int64
	first int64 // number of kept[0]
	kept  [][]byte
	last  topics.Draft
	err   error
	// counted is how often Elsewhere was asked.
	counted int

	mu      sync.Mutex
	reports []map[string]int
}

func (s *stream) Append(_ context.Context, d topics.Draft) (topics.Place, error) {
	s.last = d
	s.seq++
	return topics.Place{Epoch: s.epoch, Seq: s.seq}, s.err
}

func (s *stream) Read(_ context.Context, _ string, after int64, limit int) (topics.Page, error) {
	p := topics.Page{Head: topics.Place{Epoch: s.epoch, Seq: s.seq}, First: s.first, Events: s.kept}
	if after == -1 {
		drop := max(0, len(p.Events)-limit)
		p.First, p.Events = p.First+int64(drop), p.Events[drop:]
		return p, s.err
	}
	if drop := after + 1 - p.First; drop > 0 {
		drop = min(drop, int64(len(p.Events)))
		p.First, p.Events = p.First+drop, p.Events[drop:]
	}
	p.Events = p.Events[:min(limit, len(p.Events))]
	return p, s.err
}

func (s *stream) Report(_ context.Context, joined map[string]int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, joined)
	return s.err
}

func (s *stream) Elsewhere(context.Context, string) (int, error) {
	s.counted++
	return 5, s.err
}

// reported is the last report.
func (s *stream) reported() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports[len(s.reports)-1]
}

// hold keeps n events of size bytes, the last of them numbered seq.
func (s *stream) hold(seq int64, n, size int) {
	s.seq, s.first, s.kept = seq, seq-int64(n)+1, nil
	for i := range n {
		e := fmt.Sprintf(`{"seq":%d,"data":"`, s.first+int64(i))
		s.kept = append(s.kept, []byte(e+strings.Repeat("x", max(0, size-len(e)-2))+`"}`))
	}
}

// room is a topics.Seats that notes what was asked of it.
type room struct {
	mu      sync.Mutex
	takeErr error
	settled *topics.Place
	given   []string
	counts  map[string]int
}

func (r *room) Take(context.Context, wire.Caller, string, int) error { return r.takeErr }
func (r *room) Settle(_ wire.Caller, _ string, at topics.Place)      { r.settled = &at }
func (r *room) Give(_ wire.Caller, topic string)                     { r.given = append(r.given, topic) }
func (r *room) Count(topic string) int                               { return r.Counts()[topic] }
func (r *room) Counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

func (r *room) set(counts map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts = counts
}

func service(t *testing.T, s *stream, r *room, cfg topics.Config) *topics.Service {
	t.Helper()
	svc, err := topics.New(cfg, topics.Deps{Streams: s, Seats: r, Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

func TestMay_ByRoleGrantAndConfiguration(t *testing.T) {
	s := service(t, &stream{}, &room{}, topics.Config{Public: []string{"news:**"}})
	granted := &wire.TopicGrants{Join: []string{"prices:*", "a::b"}, Publish: []string{"queue:till-7"}}
	user := wire.Caller{Role: wire.RoleUser, User: "ann"}
	with := wire.Caller{Role: wire.RoleUser, User: "ann", Topics: granted}
	operator := wire.Caller{Role: wire.RoleOperator, User: "op", Topics: granted}
	server := wire.Caller{Role: wire.RoleServer}
	for _, c := range []struct {
		caller        wire.Caller
		topic         string
		join, publish bool
	}{
		{user, "news:all", true, false}, {user, "prices:eur", false, false}, {user, "queue:till-7", false, false},
		{with, "news:a:b", true, false}, {with, "prices:eur", true, false}, {with, "prices:eur:x", false, false},
		{with, "queue:till-7", false, true}, {with, "queue:till-8", false, false},
		{operator, "secret", true, false}, {operator, "queue:till-7", true, false},
		{server, "secret", true, true}, {wire.Caller{}, "prices:eur", false, false},
	} {
		if s.MayJoin(c.caller, c.topic) != c.join || s.MayPublish(c.caller, c.topic) != c.publish {
			t.Errorf("%s %v at %s: want join %v, publish %v", c.caller.Role, c.caller.Topics, c.topic, c.join, c.publish)
		}
	}
}

func TestPublish_EncodesOnceAndKeepsWhatTheRuleSays(t *testing.T) {
	st := &stream{epoch: "e"}
	s := service(t, st, &room{}, topics.Config{History: []topics.Keep{{Pattern: "prices:eur", Size: 5, TTL: 60e9}, {Pattern: "**", Size: 1, TTL: 1e9}}})
	server := wire.Caller{Role: wire.RoleServer, User: "shop"}
	at, err := s.Publish(t.Context(), server, topics.Publication{Topic: "prices:eur", Data: json.RawMessage("{ \"a\" : [1, 2] }"), ClientID: "c1"})
	if err != nil || at != (topics.Place{Epoch: "e", Seq: 1}) {
		t.Fatalf("%+v %v", at, err)
	}
	if st.last.Keep != 5 || st.last.TTL != 60e9 || st.last.Once != "shop/c1" {
		t.Errorf("draft %+v", st.last)
	}
	var ev wire.Event
	body := string(st.last.Head) + `"seq":1,"epoch":"e"` + string(st.last.Tail)
	if err := json.Unmarshal([]byte(body), &ev); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if ev.Type != "topic.message" || ev.Topic != "prices:eur" || ev.Seq != 1 || ev.Epoch != "e" || ev.Author != "shop" || ev.Time.IsZero() || string(ev.Data) != `{"a":[1,2]}` {
		t.Errorf("event %s", body)
	}
	for want, p := range map[error]topics.Publication{
		topics.ErrName:     {Topic: "a b", Data: json.RawMessage("1")},
		topics.ErrTooLarge: {Topic: "a", Data: json.RawMessage(`"` + strings.Repeat("x", topics.DataMax) + `"`)},
	} {
		if _, err := s.Publish(t.Context(), server, p); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if _, err := s.Publish(t.Context(), server, topics.Publication{Topic: "a", Data: json.RawMessage("{")}); err == nil {
		t.Error("publishes what is no JSON")
	}
}

func TestJoin_TellsWhatWasMissed(t *testing.T) {
	server := wire.Caller{Role: wire.RoleServer}
	type want struct {
		first, events int
		gap           bool
	}
	for name, c := range map[string]struct {
		seq        int64
		kept, size int
		ask        topics.JoinRequest
		want       want
	}{
		"the first time":                  {9, 4, 50, topics.JoinRequest{}, want{0, 0, false}},
		"the last ones":                   {9, 4, 50, topics.JoinRequest{Last: 2}, want{8, 2, false}},
		"all that is kept":                {9, 4, 50, topics.JoinRequest{Last: 500}, want{6, 4, false}},
		"nothing missed":                  {9, 4, 50, topics.JoinRequest{Resume: &topics.Place{Epoch: "e", Seq: 9}}, want{0, 0, false}},
		"one missed":                      {9, 4, 50, topics.JoinRequest{Resume: &topics.Place{Epoch: "e", Seq: 8}}, want{9, 1, false}},
		"as much as is kept":              {9, 4, 50, topics.JoinRequest{Resume: &topics.Place{Epoch: "e", Seq: 5}}, want{6, 4, false}},
		"more than is kept":               {9, 4, 50, topics.JoinRequest{Resume: &topics.Place{Epoch: "e", Seq: 4}}, want{6, 4, true}},
		"another epoch":                   {9, 4, 50, topics.JoinRequest{Resume: &topics.Place{Epoch: "f", Seq: 9}}, want{6, 4, true}},
		"ahead of the topic":              {9, 4, 50, topics.JoinRequest{Resume: &topics.Place{Epoch: "e", Seq: 10}}, want{6, 4, true}},
		"more than an answer takes":       {900, 900, 50, topics.JoinRequest{Resume: &topics.Place{Epoch: "e", Seq: 300}}, want{401, 500, true}},
		"more bytes than an answer takes": {20, 20, 50_000, topics.JoinRequest{Resume: &topics.Place{Epoch: "e", Seq: 5}}, want{11, 10, true}},
		"no history":                      {9, 0, 0, topics.JoinRequest{Resume: &topics.Place{Epoch: "e", Seq: 8}}, want{0, 0, true}},
	} {
		st, r := &stream{epoch: "e"}, &room{counts: map[string]int{"t": 2}}
		st.hold(c.seq, c.kept, c.size)
		s := service(t, st, r, topics.Config{})
		c.ask.Topic = "t"
		j, err := s.Join(t.Context(), server, c.ask)
		if err != nil || j.Gap != c.want.gap || len(j.History) != c.want.events || j.Count != 7 || j.Place != (topics.Place{Epoch: "e", Seq: c.seq}) {
			t.Errorf("%s: %d events, gap %v, count %d, %+v, %v", name, len(j.History), j.Gap, j.Count, j.Place, err)
			continue
		}
		if r.settled == nil || *r.settled != j.Place || len(r.given) != 0 {
			t.Errorf("%s: settled at %v", name, r.settled)
		}
		if len(j.History) > 0 && !strings.HasPrefix(string(j.History[0]), fmt.Sprintf(`{"seq":%d,`, c.want.first)) {
			t.Errorf("%s: begins with %.20s", name, j.History[0])
		}
	}
}

func TestJoin_GivesTheSeatBackWhenTheStreamIsAway(t *testing.T) {
	st, r := &stream{epoch: "e", err: topics.ErrUnavailable}, &room{}
	s := service(t, st, r, topics.Config{})
	_, err := s.Join(t.Context(), wire.Caller{Role: wire.RoleServer}, topics.JoinRequest{Topic: "t"})
	if !errors.Is(err, topics.ErrUnavailable) || r.settled != nil || len(r.given) != 1 {
		t.Errorf("%v, settled %v, given %v", err, r.settled, r.given)
	}
	if _, err := s.Join(t.Context(), wire.Caller{Role: wire.RoleUser}, topics.JoinRequest{Topic: "t"}); !errors.Is(err, topics.ErrForbidden) {
		t.Errorf("got %v", err)
	}
}

func TestHistory_PagesForwards(t *testing.T) {
	st := &stream{epoch: "e"}
	st.hold(9, 4, 50)
	s := service(t, st, &room{}, topics.Config{})
	for _, c := range []struct {
		after     int64
		limit, n  int
		gap, more bool
	}{{-1, 2, 2, false, false}, {0, 9, 4, true, false}, {5, 9, 4, false, false}, {5, 2, 2, false, true}, {8, 9, 1, false, false}, {9, 9, 0, false, false}} {
		h, err := s.History(t.Context(), wire.Caller{Role: wire.RoleServer}, "t", c.after, c.limit)
		if err != nil || len(h.Events) != c.n || h.Gap != c.gap || h.More != c.more {
			t.Errorf("after %d, limit %d: %d events, gap %v, more %v, %v", c.after, c.limit, len(h.Events), h.Gap, h.More, err)
		}
	}
	st.hold(20, 20, 50_000)
	if h, err := s.History(t.Context(), wire.Caller{Role: wire.RoleServer}, "t", 0, 500); err != nil || len(h.Events) != 10 || !h.More {
		t.Errorf("%d events, more %v, %v", len(h.Events), h.More, err)
	}
}

// Other nodes are told of changes at once, and of everything now and then.
func TestRun_ReportsJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r := &stream{}, &room{counts: map[string]int{"a": 1, "b": 2}}
		s := service(t, st, r, topics.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		for i, step := range []struct{ counts, want map[string]int }{
			{want: map[string]int{"a": 1, "b": 2}}, {want: map[string]int{}},
			{counts: map[string]int{"a": 3}, want: map[string]int{"a": 3, "b": 0}},
			{want: map[string]int{}}, {want: map[string]int{}}, {want: map[string]int{"a": 3}},
		} {
			if step.counts != nil {
				r.set(step.counts)
			}
			if i > 0 {
				_ = clock.System{}.Wait(ctx, clock.System{}.Now().Add(2*time.Second)) // the bubble's time
			}
			synctest.Wait()
			if got := st.reported(); !maps.Equal(got, step.want) {
				t.Errorf("round %d: %v, want %v", i, got, step.want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Many who join one topic at once ask the other nodes once.
func TestGet_CountsAreAMomentOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r := &stream{epoch: "e"}, &room{counts: map[string]int{"t": 1}}
		s := service(t, st, r, topics.Config{})
		count := func() int {
			state, err := s.Get(t.Context(), wire.Caller{Role: wire.RoleServer}, "t")
			if err != nil {
				t.Fatal(err)
			}
			return state.Count
		}
		first := count()
		r.set(map[string]int{"t": 2})
		if second := count(); first != 6 || second != 7 || st.counted != 1 {
			t.Errorf("counts %d and %d, asked %d times", first, second, st.counted)
		}
		_ = clock.System{}.Wait(t.Context(), clock.System{}.Now().Add(time.Second))
		if count(); st.counted != 2 {
			t.Errorf("asked %d times", st.counted)
		}
	})
}
