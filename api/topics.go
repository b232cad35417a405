package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"parley/topics"
	"parley/wire"
)

// TopicIn names an open topic.
type TopicIn struct {
	Topic string `json:"topic" minLength:"1" maxLength:"128" doc:"segments of letters, digits and . _ @ - with colons between them" example:"prices:eur"`
}

type topicResume struct {
	Epoch string `json:"epoch" maxLength:"64" doc:"of the last answer or event"`
	Seq   int64  `json:"seq" minimum:"0" doc:"of the last answer or event"`
}

type topicJoinIn struct {
	TopicIn
	Resume *topicResume `json:"resume,omitempty" doc:"where the client was; what it missed is in history"`
	Last   int          `json:"last,omitempty" minimum:"0" maximum:"500" doc:"without resume: how many of the last publications to send"`
}

// rawEvent is an event that was encoded when it was published.
type rawEvent struct{ json.RawMessage }

// Schema implements huma.SchemaProvider.
func (rawEvent) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[wire.Event](), true, "Event")
}

func rawEvents(list []json.RawMessage) []rawEvent {
	events := make([]rawEvent, len(list))
	for i, e := range list {
		events[i] = rawEvent{e}
	}
	return events
}

// TopicPlace is how far an open topic has come.
type TopicPlace struct {
	Topic string `json:"topic"`
	Seq   int64  `json:"seq" doc:"of the last publication; 0 when there is none in this epoch"`
	Epoch string `json:"epoch" doc:"in which seq counts; another epoch begins anew"`
}

func placeOf(topic string, p topics.Place) TopicPlace {
	return TopicPlace{Topic: topic, Seq: p.Seq, Epoch: p.Epoch}
}

// TopicState is where an open topic stands.
type TopicState struct {
	TopicPlace
	Count int `json:"count" doc:"sessions that have joined, on all nodes; up to a few seconds old"`
}

type topicJoinOut struct {
	TopicState
	History []rawEvent `json:"history" doc:"what was missed, or the last publications asked for, in order; the topic's last is the last of them"`
	Gap     bool       `json:"gap" doc:"publications since resume are missing before history"`
}

type topicPublishIn struct {
	TopicIn
	Data     json.RawMessage `json:"data" doc:"any JSON, at most 64 KiB" example:"{\"price\":1099}"`
	ClientID string          `json:"client_id,omitempty" maxLength:"64" doc:"made once per publication and repeated on resends: within five minutes it is published once"`
}

type topicHistoryIn struct {
	TopicIn
	After *int64 `json:"after,omitempty" minimum:"0" doc:"publications after this number; without it the last ones"`
	Limit int    `json:"limit,omitempty" minimum:"1" maximum:"500" doc:"default 50"`
}

type topicHistoryOut struct {
	TopicPlace
	Items []rawEvent `json:"items" doc:"in order; less than asked for when they are more than 512 KiB"`
	Gap   bool       `json:"gap" doc:"some after after are not kept any more"`
	More  bool       `json:"more" doc:"later ones are kept, too"`
}

func topicOperations(s *topics.Service) []Operation {
	const scope = "topics"
	return []Operation{
		Op(Row{Name: "topic.join", SocketOnly: true, Roles: readers, Scope: scope,
			Summary: "Hear of an open topic",
			Description: "Publications arrive as the event `topic.message` with `topic`, `seq` and `epoch`. When some are lost for good, `topic.gap` comes in their place: publications up to its `seq` are missing. " +
				"After a reconnect join again with `resume`. The token's claim `topics` says which topics a user may join (`{\"join\":[\"prices:*\"],\"publish\":[\"queue:till-7\"]}`); `*` stands for one segment, `**` at the end for one or more."},
			func(ctx context.Context, c wire.Caller, in topicJoinIn) (topicJoinOut, error) {
				ask := topics.JoinRequest{Topic: in.Topic, Last: in.Last}
				if in.Resume != nil {
					ask.Resume = &topics.Place{Epoch: in.Resume.Epoch, Seq: in.Resume.Seq}
				}
				j, err := s.Join(ctx, c, ask)
				return topicJoinOut{TopicState: TopicState{placeOf(in.Topic, j.Place), j.Count}, History: rawEvents(j.History), Gap: j.Gap}, err
			}),
		Op(Row{Name: "topic.leave", SocketOnly: true, Roles: readers, Scope: scope,
			Summary: "Hear of an open topic no longer"},
			func(ctx context.Context, c wire.Caller, in TopicIn) (None, error) {
				return None{}, s.Leave(ctx, c, in.Topic)
			}),
		Op(Row{Name: "topic.publish", Method: http.MethodPost, Path: "/v1/topics/{topic}/publications", Scope: scope,
			Summary:     "Publish to an open topic",
			Description: "Whoever has joined gets it as `topic.message`, the publisher included. Nobody needs to have joined. A server key may publish to every topic."},
			func(ctx context.Context, c wire.Caller, in topicPublishIn) (TopicPlace, error) {
				at, err := s.Publish(ctx, c, topics.Publication{Topic: in.Topic, Data: in.Data, ClientID: in.ClientID})
				return placeOf(in.Topic, at), err
			}),
		Op(Row{Name: "topics.get", Method: http.MethodGet, Path: "/v1/topics/{topic}", Roles: readers, Scope: scope,
			Summary: "Where an open topic stands and how many have joined"},
			func(ctx context.Context, c wire.Caller, in TopicIn) (TopicState, error) {
				st, err := s.Get(ctx, c, in.Topic)
				return TopicState{placeOf(in.Topic, st.Place), st.Count}, err
			}),
		Op(Row{Name: "topics.history", Method: http.MethodGet, Path: "/v1/topics/{topic}/publications", Roles: readers, Scope: scope,
			Summary:     "Read what an open topic keeps",
			Description: "Topics keep what the node's configuration (`topics.history`) says, by default nothing."},
			func(ctx context.Context, c wire.Caller, in topicHistoryIn) (topicHistoryOut, error) {
				after, limit := int64(-1), in.Limit
				if in.After != nil {
					after = *in.After
				}
				if limit == 0 {
					limit = 50
				}
				h, err := s.History(ctx, c, in.Topic, after, limit)
				return topicHistoryOut{TopicPlace: placeOf(in.Topic, h.Place), Items: rawEvents(h.Events), Gap: h.Gap, More: h.More}, err
			}),
	}
}

var topicRules = []Rule{
	{Is: topics.ErrName, Code: "invalid_params", Status: 422, Title: "Invalid parameters"},
	{Is: topics.ErrForbidden, Code: "topic_forbidden", Status: 403, Title: "Not for this token"},
	{Is: topics.ErrTooLarge, Code: "publication_too_large", Status: 413, Title: "Publication too large"},
	{Is: topics.ErrTooMany, Code: "topic_limit", Status: 429, Title: "Too many topics"},
	{Is: topics.ErrSession, Code: "socket_only", Status: 400, Title: "Only on the socket"},
	{Is: topics.ErrUnavailable, Code: "topics_unavailable", Status: 503, Title: "Topics cannot be reached now", RetryAfter: 1, Hide: true},
}
