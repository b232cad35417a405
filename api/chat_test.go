package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"parley/chat"
	"parley/hub/presence"
	"parley/internal/clock"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

// silence is a publisher to nobody.
type silence struct{}

func (silence) Publish(context.Context, wire.Event, ...wire.To) {}

// chatTable is the chat and presence operations on a real database.
func chatTable(t *testing.T) func(c wire.Caller, method, params string) (json.RawMessage, *wire.Problem) {
	t.Helper()
	db := sqldbtest.Open(t, sqldbtest.Schemas{"chat": chat.Schema()})
	s := chat.New(chat.Config{}, chat.Deps{DB: db, Clock: clock.System{}, Publisher: silence{}})
	board := presence.NewMemory(presence.Config{}, presence.Deps{Clock: clock.System{}, Publisher: silence{}, Peers: s, Seen: s})
	table, err := New(Config{BaseURL: "http://node"}, append(chatOperations(s), presenceOperations(board, s)...), chatRules)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.OpenAPIJSON(); err != nil {
		t.Fatal(err)
	}
	return func(c wire.Caller, method, params string) (json.RawMessage, *wire.Problem) {
		return table.Call(t.Context(), c, method, json.RawMessage(params))
	}
}

func person(u wire.UserID) wire.Caller {
	return wire.Caller{Role: wire.RoleUser, User: u, Device: "dev_1", Session: "ses_1"}
}

func field(t *testing.T, result json.RawMessage, name string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(result, &fields); err != nil {
		t.Fatalf("%v in %s", err, result)
	}
	return strings.Trim(string(fields[name]), `"`)
}

func TestChatOperations_AConversationFromStartToEnd(t *testing.T) {
	call := chatTable(t)
	ann, bob := person("ann"), person("bob")
	must := func(c wire.Caller, method, params string) json.RawMessage {
		t.Helper()
		result, p := call(c, method, params)
		if p != nil {
			t.Fatalf("%s: %v %v", method, p, p.Errors)
		}
		return result
	}
	conv := field(t, must(ann, "conversations.create", `{"kind":"group","members":["bob"],"title":"Trip"}`), "id")
	at := func(rest string) string { return fmt.Sprintf(`{"conversation":%q%s}`, conv, rest) }
	if entries := field(t, must(bob, "entries.list", at("")), "entries"); entries != "[]" {
		t.Errorf("entries of an empty log: %s", entries)
	}
	for i := range 5 {
		must(ann, "messages.send", at(fmt.Sprintf(`,"client_id":"c%d","text":"message %d"`, i, i)))
	}
	for params, want := range map[string]string{
		``:                           "1 2 3 4 5",
		`,"limit":2`:                 "4 5",
		`,"after":0,"limit":2`:       "1 2",
		`,"after":3`:                 "4 5",
		`,"before":3`:                "1 2",
		`,"before":4,"limit":1`:      "3",
		`,"after":1,"before":4`:      "2 3",
		`,"after":0,"before":3`:      "1 2",
		`,"before":1`:                "",
		`,"after":5`:                 "",
		`,"after":1,"before":9`:      "2 3 4 5",
		`,"before":9007199254740991`: "1 2 3 4 5",
	} {
		var out entriesOut
		if err := json.Unmarshal(must(bob, "entries.list", at(params)), &out); err != nil {
			t.Fatal(err)
		}
		var seqs []string
		for _, ev := range out.Entries {
			seqs = append(seqs, fmt.Sprint(ev.Seq))
		}
		if got := strings.Join(seqs, " "); got != want {
			t.Errorf("entries.list %s: got %s, want %s", params, got, want)
		}
	}
	if got := string(must(bob, "receipts.mark", at(`,"read":3`))); got != `{"delivered":3,"read":3,"unread":2}` {
		t.Errorf("receipts.mark: %s", got)
	}
	must(bob, "typing.set", at(`,"typing":true`))
	must(ann, "members.add", at(`,"user":"cid"`))
	must(ann, "conversations.update", at(`,"title":"Long trip"`))
	must(person("cid"), "members.remove", at(`,"user":"cid"`))
	if got := field(t, must(ann, "conversations.get", at("")), "head"); got != "8" {
		t.Errorf("head %s, want 8", got)
	}
	if got := field(t, must(person("eve"), "conversations.list", `{}`), "items"); got != "[]" {
		t.Errorf("a stranger's conversations: %s", got)
	}
}

func TestChatOperations_Problems(t *testing.T) {
	call := chatTable(t)
	result, p := call(person("ann"), "conversations.create", `{"kind":"direct","members":["bob"]}`)
	if p != nil {
		t.Fatal(p)
	}
	conv := field(t, result, "id")
	for _, c := range []struct {
		caller         wire.Caller
		method, params string
		code           string
		status         int
	}{
		{person("ann"), "messages.send", `"client_id":"c1","text":"4111 1111 1111 1111"`, "sensitive_data", 422},
		{person("ann"), "messages.send", `"client_id":"c2","text":""`, "invalid_params", 422},
		{person("ann"), "messages.send", `"client_id":"c2","text":"` + strings.Repeat("é", 4000) + `"`, "", 0},
		{person("ann"), "messages.send", `"client_id":"c2","text":"` + strings.Repeat("é", 4001) + `"`, "invalid_params", 422},
		{person("ann"), "messages.send", `"client_id":"c2","text":"other"`, "client_id_reused", 422},
		{person("ann"), "messages.send", `"text":"x"`, "invalid_params", 422},
		{person("eve"), "messages.send", `"client_id":"c3","text":"x"`, "conversation_unknown", 404},
		{person("ann"), "messages.edit", `"message":"msg_none","text":"x"`, "message_unknown", 404},
		{person("ann"), "conversations.update", `"title":"x"`, "conversation_kind", 409},
		{person("ann"), "members.add", `"user":"cid"`, "conversation_kind", 409},
		{person("ann"), "entries.list", `"limit":501`, "invalid_params", 422},
		{wire.Caller{Role: wire.RoleUser, User: "ann"}, "typing.set", `"typing":true`, "socket_only", 400},
		{wire.Caller{Role: wire.RoleOperator}, "messages.send", `"client_id":"c4","text":"x"`, "forbidden", 403},
	} {
		_, p := call(c.caller, c.method, fmt.Sprintf(`{"conversation":%q,%s}`, conv, c.params))
		switch {
		case p == nil && c.code != "":
			t.Errorf("%s %.60s: no problem, want %s", c.method, c.params, c.code)
		case p != nil && (p.Code != c.code || p.Status != c.status):
			t.Errorf("%s %.60s: got %d %s, want %d %s", c.method, c.params, p.Status, p.Code, c.status, c.code)
		}
		if p != nil && strings.Contains(p.Error(), "1111") {
			t.Errorf("the problem quotes the text: %v", p)
		}
	}
	_, p = call(person("ann"), "conversations.create", `{"kind":"payment","members":["bob"],"payment":"pay_1"}`)
	if p == nil || p.Code != "invalid_params" {
		t.Errorf("a user names a payment: %v", p)
	}
}

func TestPresenceOperations_ShowOnlyPeers(t *testing.T) {
	call := chatTable(t)
	if _, p := call(person("ann"), "conversations.create", `{"kind":"direct","members":["bob"]}`); p != nil {
		t.Fatal(p)
	}
	for _, u := range []wire.UserID{"bob", "eve"} {
		if _, p := call(person(u), "presence.set", `{"state":"away"}`); p != nil {
			t.Fatal(p)
		}
	}
	for _, c := range []struct {
		caller wire.Caller
		want   string
	}{
		{person("ann"), `{"users":[{"user":"bob","state":"away"},{"user":"ann","state":"offline"}]}`},
		{person("cid"), `{"users":[]}`},
		{wire.Caller{Role: wire.RoleServer}, `{"users":[{"user":"eve","state":"away"},{"user":"bob","state":"away"},{"user":"ann","state":"offline"}]}`},
	} {
		got, p := call(c.caller, "presence.get", `{"users":["eve","bob","ann"]}`)
		if p != nil || string(got) != c.want {
			t.Errorf("got %s %v, want %s", got, p, c.want)
		}
	}
	if _, p := call(person("bob"), "presence.set", `{"state":"in_call"}`); p == nil || p.Code != "invalid_params" {
		t.Errorf("in_call is not for people to set: %v", p)
	}
}
