package api

import (
	"context"
	"net/http"

	"parley/chat"
	"parley/hub/presence"
	"parley/wire"
)

// ConversationIn names a conversation.
type ConversationIn struct {
	Conversation wire.ConversationID `json:"conversation" minLength:"1" maxLength:"80" doc:"conv_… or self_…" example:"conv_06f3k2p8w4c9g5h1j7m2n6q8rs"`
}

type conversationsCreateIn struct {
	Kind     chat.Kind      `json:"kind" enum:"direct,group,payment"`
	Members  []wire.UserID  `json:"members" maxItems:"256" doc:"user ids; a user who creates is a member anyway" example:"[\"buyer\"]"`
	Title    string         `json:"title,omitempty" maxLength:"80" doc:"group and payment only"`
	Payment  wire.PaymentID `json:"payment,omitempty" maxLength:"80" doc:"the payment it is about; server keys only"`
	ClientID string         `json:"client_id,omitempty" maxLength:"64" doc:"made once per conversation and repeated on resends"`
}

type pageIn struct {
	Cursor string `json:"cursor,omitempty" maxLength:"200" doc:"next of the page before"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"500" doc:"default 50"`
}

type conversationsOut struct {
	Items []chat.Conversation `json:"items"`
	Next  string              `json:"next" doc:"cursor of the following page; empty on the last one"`
}

type conversationsUpdateIn struct {
	ConversationIn
	Title string `json:"title" maxLength:"80"`
}

type MemberIn struct {
	ConversationIn
	User wire.UserID `json:"user" minLength:"1" maxLength:"64"`
}

type entriesIn struct {
	ConversationIn
	After  *int64 `json:"after,omitempty" minimum:"0" doc:"entries after this number, oldest first"`
	Before *int64 `json:"before,omitempty" minimum:"1" doc:"the last entries before this number; with after, the end of the range"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"500" doc:"default 50"`
}

type entriesOut struct {
	Entries []wire.Event `json:"entries" doc:"in ascending order of seq"`
	Head    int64        `json:"head" doc:"number of the last entry of the log"`
	More    bool         `json:"more" doc:"there are further entries in the direction of paging"`
}

type messageSendIn struct {
	ConversationIn
	ClientID string         `json:"client_id" minLength:"1" maxLength:"64" doc:"made once per message and repeated on resends: same id, same answer, no second message" example:"c-01"`
	Text     string         `json:"text" minLength:"1" maxLength:"4000" example:"Shall we do it now?"`
	ReplyTo  wire.MessageID `json:"reply_to,omitempty" maxLength:"80" doc:"a message of this conversation"`
}

type MessageIn struct {
	ConversationIn
	Message wire.MessageID `json:"message" minLength:"1" maxLength:"80" doc:"msg_…"`
}

type messageEditIn struct {
	MessageIn
	Text string `json:"text" minLength:"1" maxLength:"4000"`
}

type receiptsMarkIn struct {
	ConversationIn
	Delivered int64 `json:"delivered,omitempty" minimum:"0" doc:"number of the last entry that reached this device"`
	Read      int64 `json:"read,omitempty" minimum:"0" doc:"number of the last entry that was read; counts as delivered too"`
}

type typingIn struct {
	ConversationIn
	Typing bool `json:"typing"`
}

type presenceGetIn struct {
	Users []wire.UserID `json:"users" minItems:"1" maxItems:"100" doc:"user ids; with commas in a query string"`
}

type presenceGetOut struct {
	Users []wire.Presence `json:"users" doc:"of those asked for, the ones who share a conversation with the caller"`
}

type presenceSetIn struct {
	State wire.PresenceState `json:"state" enum:"online,away" doc:"whether this device is in use"`
}

func chatOperations(s *chat.Service) []Operation {
	return append(conversationOperations(s), messageOperations(s)...)
}

func conversationOperations(s *chat.Service) []Operation {
	const scope = "conversations"
	return []Operation{
		Op(Row{Name: "conversations.create", Method: http.MethodPost, Path: "/v1/conversations", Scope: scope,
			Summary:     "Start a conversation",
			Description: "A direct conversation exists once per pair: creating it again answers the one that is there. Others answer the same conversation for the same `client_id`."},
			func(ctx context.Context, c wire.Caller, in conversationsCreateIn) (chat.Conversation, error) {
				if in.Payment != "" && !c.IsServer() {
					return chat.Conversation{}, fieldProblem("payment", "only a server key may say which payment a conversation is about")
				}
				return s.Create(ctx, c, chat.Draft{Kind: in.Kind, Members: in.Members, Title: in.Title, Payment: in.Payment, ClientID: in.ClientID})
			}),
		Op(Row{Name: "conversations.list", Method: http.MethodGet, Path: "/v1/conversations", Scope: scope, Roles: readers,
			Summary:     "List the caller's conversations",
			Description: "The one that moved last comes first. A server key that acts for nobody gets all, newest first."},
			func(ctx context.Context, c wire.Caller, in pageIn) (conversationsOut, error) {
				list, next, err := s.List(ctx, c, in.Cursor, in.Limit)
				return conversationsOut{Items: orEmpty(list), Next: next}, err
			}),
		Op(Row{Name: "conversations.get", Method: http.MethodGet, Path: "/v1/conversations/{conversation}", Scope: scope, Roles: readers,
			Summary: "Get a conversation"},
			func(ctx context.Context, c wire.Caller, in ConversationIn) (chat.Conversation, error) {
				return s.Get(ctx, c, in.Conversation)
			}),
		Op(Row{Name: "conversations.accept", Method: http.MethodPost, Path: "/v1/conversations/{conversation}/accept", Scope: scope,
			Summary:     "Let the others in",
			Description: "The other members may ring you and ask you for money from then on. Writing in a conversation accepts it too; until then one that a stranger opened gives them no such right."},
			func(ctx context.Context, c wire.Caller, in ConversationIn) (chat.Conversation, error) {
				return s.Accept(ctx, c, in.Conversation)
			}),
		Op(Row{Name: "conversations.update", Method: http.MethodPatch, Path: "/v1/conversations/{conversation}", Scope: scope,
			Summary: "Change the title", Description: "Owners only; groups and payment conversations only."},
			func(ctx context.Context, c wire.Caller, in conversationsUpdateIn) (chat.Conversation, error) {
				return s.Rename(ctx, c, in.Conversation, in.Title)
			}),
		Op(Row{Name: "members.add", Method: http.MethodPost, Path: "/v1/conversations/{conversation}/members", Scope: scope,
			Summary: "Add a member", Description: "Owners only. The newcomer can read the whole log."},
			func(ctx context.Context, c wire.Caller, in MemberIn) (chat.Conversation, error) {
				return s.AddMember(ctx, c, in.Conversation, in.User)
			}),
		Op(Row{Name: "members.remove", Method: http.MethodDelete, Path: "/v1/conversations/{conversation}/members/{user}", Scope: scope,
			Summary:     "Remove a member or leave",
			Description: "Anybody may leave; owners may remove others. When the last owner goes, the member who joined first becomes owner."},
			func(ctx context.Context, c wire.Caller, in MemberIn) (None, error) {
				return None{}, s.RemoveMember(ctx, c, in.Conversation, in.User)
			}),
	}
}

func messageOperations(s *chat.Service) []Operation {
	const scope = "messages"
	return []Operation{
		Op(Row{Name: "entries.list", Method: http.MethodGet, Path: "/v1/conversations/{conversation}/entries", Scope: "conversations", Roles: readers,
			Summary:     "Read the log",
			Description: "With `after` forwards from there, with `before` backwards, with neither the last entries. Answers are in ascending order."},
			func(ctx context.Context, c wire.Caller, in entriesIn) (entriesOut, error) {
				after, before := in.bounds()
				events, more, head, err := s.Entries(ctx, c, in.Conversation, after, before, in.Limit)
				return entriesOut{Entries: orEmpty(events), Head: head, More: more}, err
			}),
		Op(Row{Name: "messages.send", Method: http.MethodPost, Path: "/v1/conversations/{conversation}/messages", Scope: scope,
			Summary:     "Send a message",
			Description: "Texts that hold a payment card number are refused with `sensitive_data` and not stored."},
			func(ctx context.Context, c wire.Caller, in messageSendIn) (wire.Event, error) {
				return s.Send(ctx, c, in.Conversation, chat.Outgoing{ClientID: in.ClientID, Text: in.Text, ReplyTo: in.ReplyTo})
			}),
		Op(Row{Name: "messages.edit", Method: http.MethodPatch, Path: "/v1/conversations/{conversation}/messages/{message}", Scope: scope,
			Summary: "Edit one's message"},
			func(ctx context.Context, c wire.Caller, in messageEditIn) (wire.Event, error) {
				return s.Edit(ctx, c, in.Conversation, in.Message, in.Text)
			}),
		Op(Row{Name: "messages.delete", Method: http.MethodDelete, Path: "/v1/conversations/{conversation}/messages/{message}", Scope: scope,
			Summary: "Delete one's message", Description: "Its text goes from all of its log entries; the entries stay. A server key may delete anybody's."},
			func(ctx context.Context, c wire.Caller, in MessageIn) (wire.Event, error) {
				return s.Delete(ctx, c, in.Conversation, in.Message)
			}),
		Op(Row{Name: "receipts.mark", Method: http.MethodPost, Path: "/v1/conversations/{conversation}/receipts", Scope: scope,
			Summary: "Say what was delivered and read", Description: "Marks only rise; what is beyond the log's head counts as the head."},
			func(ctx context.Context, c wire.Caller, in receiptsMarkIn) (chat.Receipt, error) {
				return s.Mark(ctx, c, in.Conversation, in.Delivered, in.Read)
			}),
		Op(Row{Name: "typing.set", SocketOnly: true, Scope: scope,
			Summary: "Tell the others that one is typing"},
			func(ctx context.Context, c wire.Caller, in typingIn) (None, error) {
				return None{}, s.SetTyping(ctx, c, in.Conversation, in.Typing)
			}),
	}
}

// presenceOperations are about who is reachable; s knows who may see whom.
func presenceOperations(b presence.Board, s *chat.Service) []Operation {
	const scope = "presence"
	return []Operation{
		Op(Row{Name: "presence.get", Method: http.MethodGet, Path: "/v1/presence", Scope: scope, Roles: readers,
			Summary: "Who is reachable", Description: "Only people who share a conversation with the caller are in the answer."},
			func(ctx context.Context, c wire.Caller, in presenceGetIn) (presenceGetOut, error) {
				users := in.Users
				if c.Role == wire.RoleUser {
					var err error
					if users, err = s.Visible(ctx, c.User, users); err != nil {
						return presenceGetOut{}, err
					}
				}
				all, err := b.Get(ctx, users)
				return presenceGetOut{Users: orEmpty(all)}, err
			}),
		Op(Row{Name: "presence.set", SocketOnly: true, Scope: scope,
			Summary: "Say whether this device is in use"},
			func(ctx context.Context, c wire.Caller, in presenceSetIn) (None, error) {
				return None{}, b.Touch(ctx, c.User, c.Device, in.State)
			}),
	}
}

// readers may look at conversations.
var readers = []wire.Role{wire.RoleUser, wire.RoleServer, wire.RoleOperator}

// newest stands for a bound that no log reaches.
const newest = int64(1) << 62

// bounds returns the after and before of chat.Service.Entries: without either, the last page.
func (in entriesIn) bounds() (after, before int64) {
	switch {
	case in.After == nil && in.Before == nil:
		return 0, newest
	case in.After == nil:
		return 0, *in.Before
	case in.Before == nil:
		return *in.After, 0
	}
	return *in.After, *in.Before
}

// orEmpty makes sure that a list is [] in JSON, never null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

var chatRules = []Rule{
	{Is: chat.ErrSensitive, Code: "sensitive_data", Status: 422, Title: "Sensitive data refused"},
	{Is: chat.ErrClientID, Code: "client_id_reused", Status: 422, Title: "Client id used before"},
	{Is: chat.ErrUnknown, Code: "conversation_unknown", Status: 404, Title: "No such conversation"},
	{Is: chat.ErrMessageUnknown, Code: "message_unknown", Status: 404, Title: "No such message"},
	{Is: chat.ErrMemberUnknown, Code: "member_unknown", Status: 404, Title: "Not a member"},
	{Is: chat.ErrUnreachable, Code: "user_unknown", Status: 404, Title: "No such user"},
	{Is: chat.ErrNotOwner, Code: "not_owner", Status: 403, Title: "Owners only"},
	{Is: chat.ErrNotAuthor, Code: "not_author", Status: 403, Title: "Authors only"},
	{Is: chat.ErrDeleted, Code: "message_deleted", Status: 409, Title: "The message is deleted"},
	{Is: chat.ErrKind, Code: "conversation_kind", Status: 409, Title: "Not for conversations of this kind"},
	{Is: chat.ErrFull, Code: "conversation_full", Status: 422, Title: "Too many members"},
	{Is: chat.ErrInput, Code: "invalid_params", Status: 422, Title: "Invalid parameters"},
}
