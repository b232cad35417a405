package signaling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Start is what a caller asks for. Who rings is named by To, by Conversation
// (its other members; those of To if both are given), or by Payment (its other
// party).
type Start struct {
	Conversation wire.ConversationID
	To           []wire.UserID
	Payment      wire.PaymentID
	RelayOnly    bool
	SFU          bool   // media through the SFU even for two
	ClientID     string // makes a resend find the call
}

// Joining is a call and what a device needs to take part in it.
type Joining struct {
	Call       CallView    `json:"call"`
	ICEServers []ICEServer `json:"ice_servers"`
}

// Start rings. A resend with the same ClientID answers the same call. When the
// callee already rings the caller (both call at once), the call that is there
// survives and the caller's device answers it; when a group call of the
// conversation is under way, the device joins it. Errors: ErrDevice, ErrInput,
// ErrNoRelation, ErrNotParty, ErrPaymentUnknown, ErrConversationUnknown,
// ErrInCall, ErrNoSFU.
func (s *Service) Start(ctx context.Context, c wire.Caller, in Start) (Joining, error) {
	from, err := device(c)
	if err != nil {
		return Joining{}, err
	}
	if in.ClientID == "" {
		return Joining{}, fmt.Errorf("%w: client_id is missing", ErrInput)
	}
	if call, ok, err := s.started(ctx, from, in.ClientID); err != nil || ok {
		return s.joining(call, from.User), err
	}
	offer, err := s.plan(ctx, from, in)
	if err != nil {
		return Joining{}, err
	}
	call, err := s.place(ctx, offer, origin{session: c.Session})
	if err != nil {
		return Joining{}, err
	}
	return s.joining(call, from.User), nil
}

// started finds the call of an earlier Start with the same client id.
func (s *Service) started(ctx context.Context, from Endpoint, clientID string) (call Call, ok bool, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		call, ok, err = find(tx, "client_key = ?", clientKey(from.User, clientID))
		return err
	})
	return call, ok, err
}

func (s *Service) joining(call Call, user wire.UserID) Joining {
	return Joining{Call: call.For(user), ICEServers: s.servers(call, user)}
}

func (s *Service) servers(call Call, user wire.UserID) []ICEServer {
	if s.ICE == nil || call.State == Ended {
		return []ICEServer{}
	}
	return s.ICE.Servers(call.ID, user, call.RelayOnly)
}

// plan decides who rings and checks that they may be rung.
func (s *Service) plan(ctx context.Context, from Endpoint, in Start) (Offer, error) {
	o := Offer{
		Conversation: in.Conversation, Payment: in.Payment, Kind: Direct, Media: P2P,
		From: from, RelayOnly: in.RelayOnly, ClientID: in.ClientID,
	}
	callees := slices.Compact(slices.Sorted(slices.Values(in.To)))
	members, err := s.members(ctx, from.User, in.Conversation)
	if err != nil {
		return Offer{}, err
	}
	if in.Conversation != "" && len(callees) == 0 {
		callees = slices.DeleteFunc(slices.Clone(members), func(u wire.UserID) bool { return u == from.User })
	}
	isRoom := in.Conversation != "" && len(in.To) == 0
	if in.Payment != "" {
		facts, err := s.party(ctx, from.User, in.Payment)
		if err != nil {
			return Offer{}, err
		}
		other := facts.Payer
		if other == from.User {
			other = facts.Payee
		}
		if len(callees) == 0 {
			callees = []wire.UserID{other}
		}
		if !slices.Contains(callees, other) {
			return Offer{}, ErrNotParty
		}
		if facts.Conversation != "" {
			o.Conversation = facts.Conversation
		}
	}
	if len(callees) > 1 {
		o.Kind = Group
	}
	if callees, err = s.mayRing(ctx, from.User, callees, isRoom && o.Kind == Group); err != nil {
		return Offer{}, err
	}
	if o.Kind == Group || in.SFU {
		o.Media = SFU
	}
	return s.complete(ctx, o, callees)
}

// complete checks the offer as a whole and signs the callees' cards.
func (s *Service) complete(ctx context.Context, o Offer, callees []wire.UserID) (Offer, error) {
	switch {
	case len(callees) == 0:
		return Offer{}, fmt.Errorf("%w: nobody to call", ErrInput)
	case len(callees) >= MaxParticipants:
		return Offer{}, ErrFull
	case slices.Contains(callees, o.From.User):
		return Offer{}, fmt.Errorf("%w: you cannot call yourself", ErrInput)
	case o.Kind == Group && o.Conversation == "":
		return Offer{}, fmt.Errorf("%w: a call with several people belongs to a conversation", ErrInput)
	case o.Media == SFU && s.SFU == nil:
		return Offer{}, ErrNoSFU
	}
	for _, u := range callees {
		o.To = append(o.To, Callee{User: u, Card: s.card(ctx, o.From.User, u, o.Payment)})
	}
	return o, nil
}

// members returns who is in conv, of which user must be one.
func (s *Service) members(ctx context.Context, user wire.UserID, conv wire.ConversationID) ([]wire.UserID, error) {
	if conv == "" {
		return nil, nil
	}
	members, err := s.Rooms.Members(ctx, conv)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(members, user) {
		return nil, ErrConversationUnknown
	}
	return members, nil
}

// party returns the facts of a payment of which user must be a party.
func (s *Service) party(ctx context.Context, user wire.UserID, id wire.PaymentID) (PaymentFacts, error) {
	facts, err := s.Payments.Payment(ctx, id)
	if err != nil {
		return PaymentFacts{}, err
	}
	if user != facts.Payer && user != facts.Payee {
		return PaymentFacts{}, ErrNotParty
	}
	return facts, nil
}

// mayRing returns those of callees whom the caller may ring. Who may not be
// rung is left out of a call to a whole conversation and refused otherwise.
func (s *Service) mayRing(ctx context.Context, from wire.UserID, callees []wire.UserID, isLenient bool) ([]wire.UserID, error) {
	var rung []wire.UserID
	for _, u := range callees {
		ok := u == from
		if !ok {
			var err error
			if ok, err = s.Relations.Related(ctx, from, u); err != nil {
				return nil, err
			}
		}
		switch {
		case ok:
			rung = append(rung, u)
		case !isLenient:
			return nil, ErrNoRelation
		}
	}
	if len(callees) > 0 && len(rung) == 0 {
		return nil, ErrNoRelation
	}
	return rung, nil
}

// card signs a caller card; without one the callee's device shows an unverified caller.
func (s *Service) card(ctx context.Context, from, to wire.UserID, payment wire.PaymentID) string {
	if s.Cards == nil {
		return ""
	}
	jws, err := s.Cards.Sign(ctx, from, to, payment)
	if err != nil {
		s.Logger.Warn("caller card not signed", "error", err)
		return ""
	}
	return jws
}

// place stores the call and rings, unless there is a call that this one should be.
func (s *Service) place(ctx context.Context, o Offer, from origin) (Call, error) {
	var call Call
	var effects []Effect
	keys := []string{"talk:" + string(o.From.User)}
	if o.Kind == Direct {
		keys = append(keys, "ring:"+pairKey(o.From.User, o.To[0].User))
	} else {
		keys = append(keys, "ring:"+string(o.Conversation))
	}
	err := s.transact(ctx, func(tx *sqldb.Tx, now time.Time) error {
		if err := tx.Lock(keys...); err != nil {
			return err
		}
		there, ok, err := s.instead(tx, o)
		switch {
		case err != nil:
			return err
		case !ok:
			call, effects, err = s.create(tx, o, now, from)
		case there.From.User == o.From.User && there.ClientID == o.ClientID, there.Bound(o.From):
			call, effects = there, nil
		default:
			_, rung := there.Find(o.From.User)
			cmd := Command{Action: ActAnswer, By: o.From, Payment: o.Payment, Member: !rung}
			call, effects, err = s.applyIn(tx, there, cmd, now, from)
			if errors.Is(err, ErrTaken) {
				err = ErrInCall
			}
		}
		return err
	})
	if err != nil {
		return Call{}, err
	}
	s.carryOut(call, effects)
	return call, nil
}

// instead finds the call that a start should lead to instead of a new one: the
// same start sent again, the ringing call of the same two people whoever of
// them called first (its id is the lower one, since it was there before), or
// the group call under way in the conversation.
func (s *Service) instead(tx *sqldb.Tx, o Offer) (Call, bool, error) {
	c, ok, err := find(tx, "client_key = ?", clientKey(o.From.User, o.ClientID))
	if err != nil || ok {
		return c, ok, err
	}
	if o.Kind == Direct {
		return find(tx, "ring_key = ?", pairKey(o.From.User, o.To[0].User))
	}
	return find(tx, "conversation = ? AND kind = 'group' AND state <> 'ended' ORDER BY id LIMIT 1", o.Conversation)
}

// create opens a new call. Its id is made here, under the lock of the pair, so
// that of two calls the one stored first has the lower id.
func (s *Service) create(tx *sqldb.Tx, o Offer, now time.Time, from origin) (Call, []Effect, error) {
	if id, busy, err := presentElsewhere(tx, o.From.User, ""); err != nil || busy {
		return Call{}, nil, errors.Join(err, when(busy, fmt.Errorf("%w: %s", ErrInCall, id)))
	}
	o.ID = wire.NewID[wire.CallID](wire.PrefixCall, now)
	o.To = slices.Clone(o.To)
	for i := range o.To {
		busy, err := talks(tx, o.To[i].User)
		if err != nil {
			return Call{}, nil, err
		}
		o.To[i].Busy = busy
	}
	if o.Conversation == "" {
		conv, err := s.Log.Direct(tx, o.From.User, o.To[0].User)
		if err != nil {
			return Call{}, nil, fmt.Errorf("signaling: conversation of the call: %w", err)
		}
		o.Conversation = conv
	}
	c, effects := Open(o, now)
	if err := insert(tx, c); err != nil {
		return Call{}, nil, err
	}
	s.roll.note(tx, Call{}, c)
	if err := s.record(tx, c, effects, now); err != nil {
		return Call{}, nil, err
	}
	tx.AfterCommit(func() { s.announce(tx.Context(), c, effects, now, from) })
	return c, effects, nil
}
