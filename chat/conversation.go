package chat

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/internal/sqldb"
	"parley/wire"
)

// A Kind says what a conversation is for.
type Kind string

// The kinds. A direct conversation has two members for good and exists once
// per pair; a self conversation belongs to one person.
const (
	Direct  Kind = "direct"
	Group   Kind = "group"
	Payment Kind = "payment"
	Self    Kind = "self"
)

// Conversation is what a member sees of a conversation.
type Conversation struct {
	ID        wire.ConversationID `json:"id"`
	Kind      Kind                `json:"kind" enum:"direct,group,payment,self"`
	Title     string              `json:"title"`
	Payment   wire.PaymentID      `json:"payment,omitempty" doc:"the payment it is about"`
	Members   []Member            `json:"members"`
	Head      int64               `json:"head" doc:"number of the last log entry, 0 when there is none"`
	Unread    int64               `json:"unread" doc:"messages of others after the read mark, counted at most 1,000 entries back"`
	Last      *wire.Event         `json:"last,omitempty" doc:"the last log entry"`
	CreatedAt time.Time           `json:"created_at"`
	UpdatedAt time.Time           `json:"updated_at" doc:"time of the last entry"`
}

// Member is one person in a conversation.
type Member struct {
	User      wire.UserID `json:"user"`
	Name      string      `json:"name"`
	Role      MemberRole  `json:"role" enum:"owner,member"`
	JoinedAt  time.Time   `json:"joined_at"`
	Accepted  bool        `json:"accepted" doc:"opened the conversation, wrote in it or accepted it, or the app made it; until then the others can neither ring this member nor ask for money"`
	Delivered int64       `json:"delivered" doc:"entries up to this number have reached a device"`
	Read      int64       `json:"read" doc:"entries up to this number have been read"`
}

// Draft is a conversation to create.
type Draft struct {
	Kind     Kind
	Members  []wire.UserID // a user who creates is a member and owner anyway
	Title    string        // group and payment only
	Payment  wire.PaymentID
	ClientID string // the same creator and ClientID: the same conversation
}

// created is the data of the signal that tells members about a new conversation.
type created struct {
	ID      wire.ConversationID `json:"id"`
	Kind    Kind                `json:"kind"`
	Title   string              `json:"title"`
	Payment wire.PaymentID      `json:"payment,omitempty"`
	Members []wire.UserID       `json:"members"`
}

// Create makes a conversation, or answers the one that is there: for direct
// conversations by pair, for others by ClientID.
func (s *Service) Create(ctx context.Context, c wire.Caller, d Draft) (Conversation, error) {
	if c.Role == wire.RoleOperator {
		return Conversation{}, ErrNotOwner
	}
	if err := d.complete(c); err != nil {
		return Conversation{}, s.refused(err)
	}
	var id wire.ConversationID
	err := s.db.Update(ctx, func(tx *sqldb.Tx) (err error) {
		if d.Kind == Direct {
			id, err = s.direct(tx, c, d)
			return err
		}
		id, err = s.create(tx, c, d)
		return err
	})
	if err != nil {
		return Conversation{}, err
	}
	return s.Get(ctx, c, id)
}

// complete checks a draft and puts the creator first.
func (d *Draft) complete(c wire.Caller) error {
	members := d.Members
	if c.User != "" {
		members = append([]wire.UserID{c.User}, members...)
	}
	seen := make(map[wire.UserID]bool, len(members))
	d.Members = nil
	for _, u := range members {
		if err := wire.CheckUser(string(u)); err != nil {
			return fmt.Errorf("%w: members: %w", ErrInput, err)
		}
		if !seen[u] {
			seen[u] = true
			d.Members = append(d.Members, u)
		}
	}
	switch {
	case d.Kind == Direct && len(d.Members) != 2:
		return fmt.Errorf("%w: a direct conversation has two different members", ErrInput)
	case d.Kind == Direct && d.Title != "":
		return fmt.Errorf("%w: a direct conversation has no title", ErrInput)
	case d.Kind != Direct && d.Kind != Group && d.Kind != Payment:
		return fmt.Errorf("%w: kind is direct, group or payment", ErrInput)
	case len(d.Members) == 0:
		return fmt.Errorf("%w: a conversation needs a member", ErrInput)
	case len(d.Members) > MembersMax:
		return ErrFull
	case d.Payment != "" && wire.CheckID(wire.PrefixPayment, string(d.Payment)) != nil:
		return fmt.Errorf("%w: payment is not a payment's id", ErrInput)
	}
	if err := checkClientID(d.ClientID); err != nil {
		return err
	}
	return checkTitle(d.Title)
}

func checkTitle(title string) error {
	if utf8.RuneCountInString(title) > TitleMax {
		return fmt.Errorf("%w: a title has at most %d characters", ErrInput, TitleMax)
	}
	if !utf8.ValidString(title) || strings.ContainsFunc(title, unicode.IsControl) {
		return fmt.Errorf("%w: a title is one line of text", ErrInput)
	}
	if HasCardNumber(title) {
		return ErrSensitive
	}
	return nil
}

// refused counts texts that were refused for what they hold.
func (s *Service) refused(err error) error {
	if errors.Is(err, ErrSensitive) {
		s.metrics.sensitive.Inc()
	}
	return err
}

// row is a conversation about to be inserted.
type row struct {
	id          wire.ConversationID
	draft       Draft
	pair        any // string, or nil when the kind has none
	clientKey   any // string, or nil without client id
	fingerprint string
	accepted    []wire.UserID // have let the others in
}

// insert stores a conversation unless its id, pair or client key is taken, and reports whether it did.
func (s *Service) insert(tx *sqldb.Tx, r row) (bool, error) {
	now := s.now()
	n, err := tx.Exec(`INSERT INTO conversations (id, kind, title, payment, pair, client_key, fingerprint, head, roster, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0, 1, ?, ?) ON CONFLICT DO NOTHING`,
		r.id, r.draft.Kind, r.draft.Title, r.draft.Payment, r.pair, r.clientKey, r.fingerprint, now.UnixMilli(), now.UnixMilli())
	if err != nil || n == 0 {
		return false, err
	}
	to := make([]wire.To, 0, len(r.draft.Members))
	for i, u := range r.draft.Members {
		role := RoleMember
		if i == 0 || r.draft.Kind == Direct {
			role = RoleOwner
		}
		if _, err := tx.Exec(insertMember, r.id, u, role, now.UnixMilli(), 0, 0, flag(slices.Contains(r.accepted, u))); err != nil {
			return false, err
		}
		to = append(to, wire.To{User: u})
	}
	data, err := json.Marshal(created{ID: r.id, Kind: r.draft.Kind, Title: r.draft.Title, Payment: r.draft.Payment, Members: r.draft.Members})
	if err != nil {
		return false, err
	}
	ctx := context.WithoutCancel(tx.Context())
	tx.AfterCommit(func() {
		s.out.Publish(ctx, wire.Event{Type: "conversation.created", Conversation: r.id, Time: now, Data: data}, to...)
	})
	return true, nil
}

func (s *Service) create(tx *sqldb.Tx, c wire.Caller, d Draft) (wire.ConversationID, error) {
	r := row{id: wire.NewID[wire.ConversationID](wire.PrefixConversation, s.now()), draft: d, fingerprint: d.fingerprint(), accepted: opens(c, d.Members)}
	if d.ClientID != "" {
		r.clientKey = string(c.User) + " " + d.ClientID
	}
	made, err := s.insert(tx, r)
	if err == nil && made {
		err = s.reachable(tx, c, d.Members...)
	}
	if err != nil || made {
		return r.id, err
	}
	tx.AfterCommit(s.metrics.repeated.Inc)
	var fingerprint string
	err = tx.QueryRow(`SELECT id, fingerprint FROM conversations WHERE client_key = ?`, r.clientKey).Scan(&r.id, &fingerprint)
	if err == nil && fingerprint != r.fingerprint {
		err = ErrClientID
	}
	return r.id, err
}

// fingerprint tells requests apart that came with the same client id.
func (d Draft) fingerprint() string {
	members := slices.Clone(d.Members)
	slices.Sort(members)
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q", d.Kind, d.Title, d.Payment, members)
	return hex.EncodeToString(h.Sum(nil))
}

// direct is Direct as c opens it.
func (s *Service) direct(tx *sqldb.Tx, c wire.Caller, d Draft) (wire.ConversationID, error) {
	id, made, err := s.pair(tx, d.Members[0], d.Members[1])
	if err == nil && made {
		err = s.reachable(tx, c, d.Members...)
	}
	if err != nil {
		return "", err
	}
	return id, s.openAgain(tx, id, opens(c, d.Members))
}

// Direct returns the conversation of two different people and makes it if
// there is none: a opens it, b has not let a in yet.
func (s *Service) Direct(tx *sqldb.Tx, a, b wire.UserID) (wire.ConversationID, error) {
	id, _, err := s.pair(tx, a, b)
	return id, err
}

// pair finds or makes the conversation of a and b and reports whether it made it.
func (s *Service) pair(tx *sqldb.Tx, a, b wire.UserID) (id wire.ConversationID, made bool, err error) {
	if a == b {
		return "", false, fmt.Errorf("%w: a direct conversation has two different members", ErrInput)
	}
	pair := string(min(a, b)) + " " + string(max(a, b))
	const find = `SELECT id FROM conversations WHERE pair = ?`
	if err := tx.QueryRow(find, pair).Scan(&id); !errors.Is(err, sql.ErrNoRows) {
		return id, false, err
	}
	r := row{id: wire.NewID[wire.ConversationID](wire.PrefixConversation, s.now()), pair: pair,
		draft: Draft{Kind: Direct, Members: []wire.UserID{a, b}}, accepted: []wire.UserID{a}}
	if made, err = s.insert(tx, r); err != nil || made {
		return r.id, made, err
	}
	err = tx.QueryRow(find, pair).Scan(&id) // someone else's transaction was first
	return id, false, err
}

// EnsureSelf makes the personal conversation of u, wire.SelfConversation(u), if there is none.
func (s *Service) EnsureSelf(tx *sqldb.Tx, u wire.UserID) error {
	_, err := s.insert(tx, row{id: wire.SelfConversation(u), draft: Draft{Kind: Self, Members: []wire.UserID{u}}, accepted: []wire.UserID{u}})
	return err
}

// SetPayment names the payment that a conversation is about, unless one is named already.
func (s *Service) SetPayment(tx *sqldb.Tx, conv wire.ConversationID, p wire.PaymentID) error {
	_, err := tx.Exec(`UPDATE conversations SET payment = ? WHERE id = ? AND payment = ''`, p, conv)
	return err
}

// Rename changes the title of a group or payment conversation; owners and servers may.
func (s *Service) Rename(ctx context.Context, c wire.Caller, conv wire.ConversationID, title string) (Conversation, error) {
	if err := checkTitle(title); err != nil {
		return Conversation{}, s.refused(err)
	}
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		l, err := s.lock(tx, c, conv, toManage)
		if err != nil || l.title == title {
			return err
		}
		if _, err := tx.Exec(`UPDATE conversations SET title = ? WHERE id = ?`, title, conv); err != nil {
			return err
		}
		return s.note(tx, c, conv, "conversation.updated", map[string]any{"title": title}, nil)
	})
	if err != nil {
		return Conversation{}, err
	}
	return s.Get(ctx, c, conv)
}

// locked is a conversation whose row the transaction holds.
type locked struct {
	kind    Kind
	title   string
	members *roster
}

// lock takes the row of a conversation with which c may do n; only groups and
// payment conversations can be managed.
func (s *Service) lock(tx *sqldb.Tx, c wire.Caller, conv wire.ConversationID, n need) (locked, error) {
	var l locked
	if !known(conv) {
		return l, ErrUnknown
	}
	var version int64
	err := tx.QueryRow(`UPDATE conversations SET roster = roster WHERE id = ? RETURNING kind, title, roster`, conv).Scan(&l.kind, &l.title, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return l, ErrUnknown
	}
	if err != nil {
		return l, err
	}
	if l.members, err = s.rosterAt(tx, conv, version); err != nil {
		return l, err
	}
	if err := allow(c, l.members, n); err != nil {
		return l, err
	}
	if n == toManage && l.kind != Group && l.kind != Payment {
		return l, ErrKind
	}
	return l, nil
}

// note appends an entry that the service itself writes on c's behalf.
func (s *Service) note(tx *sqldb.Tx, c wire.Caller, conv wire.ConversationID, kind string, data any, also []wire.To) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, _, err = s.write(tx, conv, record{Entry: wire.Entry{Type: kind, Author: c.User, Data: b}, also: also}, nil)
	return err
}
