package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"parley/chat"
	"parley/identity"
	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/payments"
	"parley/payments/ledger"
	"parley/payments/outbox"
	"parley/signaling"
	"parley/wire"
)

// digest computes what people confirm (payments.Digester).
func digest(s payments.Snapshot) ([]byte, string, error) {
	expires, err := parseExpires(s.Expires)
	if err != nil {
		return nil, "", err
	}
	return canonical(identity.Snapshot{
		Payment: wire.PaymentID(s.Payment), Version: s.Version, Amount: s.Amount, Fee: s.Fee, Currency: s.Currency,
		Payee: wire.UserID(s.PayeeID), PayeeName: s.PayeeNameShown, Purpose: s.Purpose, Expires: expires,
	})
}

func canonical(s identity.Snapshot) ([]byte, string, error) {
	text, sum, err := s.Canonical()
	return text, sum, err
}

func parseExpires(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, text)
}

// people tells payments how users are shown (payments.Names).
type people struct {
	users *identity.Directory
	clock clock.Clock
}

// Person implements payments.Names.
func (p people) Person(ctx context.Context, user string) (payments.Person, error) {
	u, err := p.users.Get(ctx, wire.UserID(user))
	if errors.Is(err, identity.ErrUserUnknown) {
		return payments.Person{}, payments.ErrPartyUnknown
	}
	if err != nil {
		return payments.Person{}, err
	}
	return p.shown(u), nil
}

// shown is a user as payments know them.
func (p people) shown(u identity.User) payments.Person {
	check := "unavailable"
	if u.VerifiedName != "" {
		check = "match"
	}
	return payments.Person{Shown: u.ShownName(), NameCheck: check, AccountAgeDays: int(u.AccountAge(p.clock.Now()).Hours() / 24)}
}

// paymentRooms tells whether both parties may see a conversation (payments.Rooms).
type paymentRooms struct{ chat *chat.Service }

// CheckParties implements payments.Rooms.
func (r paymentRooms) CheckParties(ctx context.Context, conversation, payer, payee string) error {
	members, err := r.chat.Members(ctx, wire.ConversationID(conversation))
	switch {
	case errors.Is(err, chat.ErrUnknown):
		return payments.ErrConversation
	case err != nil:
		return err
	case !slices.Contains(members, wire.UserID(payer)) || !slices.Contains(members, wire.UserID(payee)):
		return payments.ErrConversation
	}
	return nil
}

// cards puts what happened to payments into the logs of conversations: an
// outbox consumer that appends in the transaction that moves its cursor.
type cards struct{ chat *chat.Service }

func (c cards) deliver(tx *sqldb.Tx, ev outbox.Event) error {
	entry := wire.Entry{ID: wire.EventID(ev.ID), Type: ev.Type, Time: ev.Time, Data: ev.Data}
	if conv := ev.Audience.Conversation; conv != "" {
		_, err := c.chat.Append(tx, wire.ConversationID(conv), entry)
		return err
	}
	for _, user := range ev.Audience.Users {
		u := wire.UserID(user)
		if err := c.chat.EnsureSelf(tx, u); err != nil {
			return err
		}
		if _, err := c.chat.Append(tx, wire.SelfConversation(u), entry); err != nil {
			return err
		}
	}
	return nil
}

// callPayments tells calls about payments (signaling.Payments).
type callPayments struct{ payments *payments.Service }

// Payment implements signaling.Payments.
func (c callPayments) Payment(ctx context.Context, id wire.PaymentID) (signaling.PaymentFacts, error) {
	p, err := c.payments.Get(ctx, payments.Actor{Server: true}, string(id))
	if errors.Is(err, payments.ErrUnknown) {
		return signaling.PaymentFacts{}, signaling.ErrPaymentUnknown
	}
	return signaling.PaymentFacts{
		Payer: wire.UserID(p.Payer), Payee: wire.UserID(p.Payee), Conversation: wire.ConversationID(p.Conversation),
	}, err
}

// Review implements signaling.Payments.
func (c callPayments) Review(tx *sqldb.Tx, id wire.PaymentID, _ string) error {
	return c.payments.ReviewTx(tx, string(id))
}

// relations says who may look up whom: people who share a conversation or a payment.
type relations struct {
	chat     *chat.Service
	payments *payments.Service // set after it is made
}

// Related implements identity.Relations.
func (r *relations) Related(ctx context.Context, a, b wire.UserID) (bool, error) {
	related, err := r.chat.Related(ctx, a, b)
	if related || err != nil {
		return related, err
	}
	return r.payments.OpenBetween(ctx, string(a), string(b))
}

// callRooms tells calls who is in a conversation (signaling.Rooms).
type callRooms struct{ chat *chat.Service }

// Members implements signaling.Rooms.
func (r callRooms) Members(ctx context.Context, conv wire.ConversationID) ([]wire.UserID, error) {
	members, err := r.chat.Members(ctx, conv)
	if errors.Is(err, chat.ErrUnknown) {
		return nil, signaling.ErrConversationUnknown
	}
	return members, err
}

// confirmPayments is payments as confirmations need them (identity.Payments).
type confirmPayments struct{ payments *payments.Service }

// PaymentTx implements identity.Payments.
func (c confirmPayments) PaymentTx(tx *sqldb.Tx, id wire.PaymentID) (identity.Payment, error) {
	in, err := c.payments.IntentTx(tx, string(id))
	if err != nil {
		return identity.Payment{}, confirmError(err)
	}
	return identity.Payment{
		ID: id, Version: in.Version, State: string(in.State), Payer: wire.UserID(in.Payer), Payee: wire.UserID(in.Payee),
		PayeeName: in.PayeeName, Amount: in.Amount, Fee: in.Total() - in.Amount, Currency: in.Currency, Digest: in.Digest,
		Snapshot: json.RawMessage(in.Snapshot), HoldExpires: in.HoldExpires,
	}, nil
}

// ConfirmTx implements identity.Payments. The key of the payments' own record
// is the confirmation's place, so that each party confirms a version in a call once.
func (c confirmPayments) ConfirmTx(tx *sqldb.Tx, done identity.Confirmed) (json.RawMessage, error) {
	key := strings.Join([]string{"confirm", string(done.Payment), done.Digest[:16], done.Transcript, done.At.UTC().Format(time.RFC3339Nano)}, "/")
	p, err := c.payments.ConfirmTx(tx, payments.Confirmation{
		By:      payments.Actor{User: string(done.Party), Key: key},
		Payment: string(done.Payment), Version: done.Version, Digest: done.Digest,
		Call: string(done.Call), Transcript: done.Transcript, Deadline: done.Deadline,
	})
	if err != nil {
		return nil, confirmError(err)
	}
	return json.Marshal(p)
}

// confirmError says in identity's words what payments refused.
func confirmError(err error) error {
	for _, pair := range []struct{ theirs, ours error }{
		{payments.ErrUnknown, identity.ErrPaymentUnknown},
		{payments.ErrVersionStale, identity.ErrVersionStale},
		{payments.ErrHoldExpired, identity.ErrHoldExpired},
		{payments.ErrConfirmationExpired, identity.ErrConfirmExpired},
		{payments.ErrNotParty, identity.ErrNotParty},
		{payments.ErrState, identity.ErrPaymentState},
	} {
		if errors.Is(err, pair.theirs) {
			return pair.ours
		}
	}
	return err
}

// confirmCalls is calls as confirmations need them (identity.Calls).
type confirmCalls struct{ calls *signaling.Service }

// ActiveForTx implements identity.Calls.
func (c confirmCalls) ActiveForTx(tx *sqldb.Tx, id wire.PaymentID) (identity.CallInfo, error) {
	live, err := c.calls.ActiveForTx(tx, id)
	if errors.Is(err, signaling.ErrUnknown) {
		return identity.CallInfo{}, identity.ErrCallNotActive
	}
	return identity.CallInfo{
		ID: live.Call, SFU: live.Media == signaling.SFU, Transcript: live.Transcript, Verified: string(live.Verified), Users: live.Users,
	}, err
}

// MediaAliveTx implements identity.Calls.
func (c confirmCalls) MediaAliveTx(tx *sqldb.Tx, call wire.CallID, user wire.UserID) (bool, error) {
	return c.calls.MediaAliveTx(tx, call, user)
}

// records are the facts behind a payment's evidence (identity.Records).
type records struct {
	db       *sqldb.DB
	payments *payments.Service
	calls    *signaling.Service // set after it is made
}

// Payment implements identity.Records.
func (r *records) Payment(ctx context.Context, id wire.PaymentID) (json.RawMessage, wire.UserID, wire.UserID, error) {
	p, err := r.payments.Get(ctx, payments.Actor{Server: true}, string(id))
	if err != nil {
		return nil, "", "", confirmError(err)
	}
	text, err := json.Marshal(p)
	return text, wire.UserID(p.Payer), wire.UserID(p.Payee), err
}

// Calls implements identity.Records.
func (r *records) Calls(ctx context.Context, id wire.PaymentID) ([]json.RawMessage, error) {
	calls, _, err := r.calls.List(ctx, wire.Caller{Role: wire.RoleServer}, signaling.Filter{Payment: id, Limit: 200})
	if err != nil {
		return nil, err
	}
	slices.Reverse(calls)
	return marshalAll(calls)
}

// Transfers implements identity.Records.
func (r *records) Transfers(ctx context.Context, id wire.PaymentID) (list []json.RawMessage, err error) {
	err = r.db.View(ctx, func(tx *sqldb.Tx) error {
		entries, err := ledger.Under(tx, string(id))
		if err != nil {
			return err
		}
		list, err = marshalAll(entries)
		return err
	})
	return list, err
}

func marshalAll[T any](items []T) ([]json.RawMessage, error) {
	list := make([]json.RawMessage, len(items))
	for i, item := range items {
		text, err := json.Marshal(item)
		if err != nil {
			return nil, err
		}
		list[i] = text
	}
	return list, nil
}

// cardFacts tells caller cards about payments (identity.CardFacts).
type cardFacts struct{ payments *payments.Service }

// CardPayment implements identity.CardFacts.
func (c cardFacts) CardPayment(ctx context.Context, id wire.PaymentID) (identity.CardPayment, error) {
	p, err := c.payments.Get(ctx, payments.Actor{Server: true}, string(id))
	return identity.CardPayment{ID: id, Version: p.Version, Digest: p.Digest, Amount: p.Amount, Currency: p.Currency, Order: p.Order}, confirmError(err)
}

// callCards signs caller cards (signaling.Cards).
type callCards struct{ cards *identity.Cards }

// Sign implements signaling.Cards.
func (c callCards) Sign(ctx context.Context, from, to wire.UserID, payment wire.PaymentID) (string, error) {
	return c.cards.Sign(ctx, from, to, payment)
}
