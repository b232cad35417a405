package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/internal/sqldb"
	"parley/payments/outbox"
)

// ErrRequestUnknown says that there is no request to several people of this id,
// or that the one who asks has nothing to do with it.
var ErrRequestUnknown = errors.New("request unknown")

// RequestState is the state of a request to several people.
type RequestState string

// The states. Complete: no share waits any more, whether paid or not.
const (
	RequestOpen      RequestState = "open"
	RequestComplete  RequestState = "complete"
	RequestCancelled RequestState = "cancelled"
)

// GroupRequest is a request to several people as it is shown. The payee and
// server keys see everything. A payer sees the own share; of the others who
// they are, and the total, only where the request is in a conversation that
// all of them share. Amounts are minor units.
type GroupRequest struct {
	ID           string       `json:"id" example:"req_01jd0000000000000000000000"`
	State        RequestState `json:"state" enum:"open,complete,cancelled"`
	Version      int64        `json:"version"`
	Payee        string       `json:"payee"`
	PayeeName    string       `json:"payee_name"`
	Amount       int64        `json:"amount,omitempty" doc:"total of the shares"`
	Collected    *int64       `json:"collected,omitempty" doc:"captured less refunded; for the payee"`
	Currency     string       `json:"currency" doc:"ISO 4217"`
	Memo         string       `json:"memo,omitempty"`
	Conversation string       `json:"conversation,omitempty"`
	Payers       []SharePayer `json:"payers" doc:"who was asked"`
	Items        []Payment    `json:"items" doc:"the shares that the one who asks may see"`
	CreatedAt    time.Time    `json:"created_at"`
	UpdatedAt    time.Time    `json:"updated_at"`
}

// SharePayer is one of those who were asked.
type SharePayer struct {
	User string `json:"user"`
	Name string `json:"name,omitempty" doc:"as shown to the others; absent in events"`
}

// Share is what one person is asked for.
type Share struct {
	Payer  string
	Amount int64 // 0 where the whole is split equally
}

// GroupInput asks several people.
type GroupInput struct {
	Payee  string // named by a server key; a user asks for themselves
	Shares []Share
	// Split is SplitEqual, or empty when each share has its amount.
	Split string
	// Amount is the total: needed to split it, otherwise the sum of the shares or 0.
	Amount       int64
	Currency     string
	Memo         string
	Conversation string // that all of them share; or empty
	// ExpiresIn bounds each share's request, 1 minute to 90 days; 0 takes the service's rule.
	ExpiresIn time.Duration
}

// SplitEqual gives everyone the same, see Split.
const SplitEqual = "equal"

// How many people one request may go to.
const (
	minShares = 2
	maxShares = 50
)

// RequestEventType is the type of the events of requests to several people.
const RequestEventType = "request.updated"

// Split divides amount equally: everyone gets the whole part, and the units
// that are left go one each to those whose ids come first in byte order. So the
// parts add up to amount whatever the order of payers, and differ by one unit
// at most. It returns ErrAmount when somebody would get nothing.
func Split(amount int64, payers []string) (map[string]int64, error) {
	n := int64(len(payers))
	if n == 0 || amount < n {
		return nil, fmt.Errorf("%w: %d among %d", ErrAmount, amount, n)
	}
	shares := make(map[string]int64, n)
	for i, payer := range slices.Sorted(slices.Values(payers)) {
		shares[payer] = amount / n
		if int64(i) < amount%n {
			shares[payer]++
		}
	}
	return shares, nil
}

// CreateGroup makes a payment for each share, all or none. Each share counts
// for the relation and the limits like a request of its own.
func (s *Service) CreateGroup(ctx context.Context, a Actor, in GroupInput) (GroupRequest, error) {
	in.Shares = slices.Clone(in.Shares)
	req := in.request()
	if err := s.completeGroup(&in, a); err != nil {
		return GroupRequest{}, err
	}
	shares, payee, err := s.planShares(ctx, in)
	if err != nil {
		return GroupRequest{}, err
	}
	r, err := once(ctx, s, a, req, func(tx *sqldb.Tx, now time.Time) (GroupRequest, error) {
		return s.openGroup(tx, a, in, shares, payee, now)
	})
	if err == nil {
		err = s.namePayers(ctx, &r)
	}
	return r, err
}

func (in GroupInput) request() request {
	shares := make([]string, len(in.Shares))
	for i, share := range in.Shares {
		shares[i] = fmt.Sprintf("%s=%d", share.Payer, share.Amount)
	}
	slices.Sort(shares)
	return request{
		"operation": "requests.create", "payee": in.Payee, "payers": strings.Join(shares, " "), "split": in.Split, "amount": fmt.Sprint(in.Amount),
		"currency": in.Currency, "memo": in.Memo, "conversation": in.Conversation, "expires_in": fmt.Sprint(in.ExpiresIn.Seconds()),
	}
}

// completeGroup fills in the payee and the shares' amounts and checks that they add up.
func (s *Service) completeGroup(in *GroupInput, a Actor) error {
	if in.Payee == "" {
		in.Payee = a.User
	}
	switch {
	case !a.Server && in.Payee != a.User:
		return fmt.Errorf("%w: a user asks for themselves", ErrNotParty)
	case len(in.Shares) < minShares || len(in.Shares) > maxShares:
		return fmt.Errorf("%w: payers must be %d to %d", ErrInput, minShares, maxShares)
	case in.Split != "" && in.Split != SplitEqual:
		return fmt.Errorf("%w: split %.16q", ErrInput, in.Split)
	}
	payers := make([]string, len(in.Shares))
	for i, share := range in.Shares {
		payers[i] = share.Payer
	}
	if slices.Sort(payers); len(slices.Compact(payers)) < len(in.Shares) {
		return fmt.Errorf("%w: somebody is among the payers twice", ErrInput)
	}
	if in.Split == "" {
		return in.addUp()
	}
	split, err := Split(in.Amount, payers)
	for i, share := range in.Shares {
		if share.Amount != 0 {
			return fmt.Errorf("%w: a share has an amount or is split, not both", ErrInput)
		}
		in.Shares[i].Amount = split[share.Payer]
	}
	return err
}

// addUp checks the given shares and sets their total.
func (in *GroupInput) addUp() error {
	sum := int64(0) // at most maxShares times MaxAmount: fits
	for _, share := range in.Shares {
		if err := CheckAmount(share.Amount, in.Currency); err != nil {
			return err
		}
		sum += share.Amount
	}
	if in.Amount != 0 && in.Amount != sum {
		return fmt.Errorf("%w: the shares add up to %d, not %d", ErrAmount, sum, in.Amount)
	}
	in.Amount = sum
	return nil
}

// planShares checks every share as a request of its own and asks the policy
// about it. The shares are in the order of the payers' ids.
func (s *Service) planShares(ctx context.Context, in GroupInput) (shares []CreateInput, payee Person, err error) {
	slices.SortFunc(in.Shares, func(a, b Share) int { return strings.Compare(a.Payer, b.Payer) })
	for _, share := range in.Shares {
		one := CreateInput{Payer: share.Payer, Payee: in.Payee, Amount: share.Amount, Currency: in.Currency, Memo: in.Memo,
			Conversation: in.Conversation, ExpiresIn: in.ExpiresIn}
		if err := s.complete(&one, Actor{Server: true}); err != nil {
			return nil, payee, err
		}
		if payee, err = s.meet(ctx, one); err != nil {
			return nil, payee, err
		}
		decision, err := s.decide(ctx, one.Payer, one.Payee, one.Amount, one.Currency, payee.NameCheck)
		if err != nil {
			return nil, payee, err
		}
		one.Confirm = decision.Confirm()
		one.Conversation = "" // a share is between two: its card is not for the others
		shares = append(shares, one)
	}
	return shares, payee, nil
}

// openGroup stores the request and its shares, and announces them last.
func (s *Service) openGroup(tx *sqldb.Tx, a Actor, in GroupInput, shares []CreateInput, payee Person, now time.Time) (GroupRequest, error) {
	at := group{
		id: newID("req_", now), payee: in.Payee, payeeName: payee.Shown, amount: in.Amount, currency: in.Currency,
		memo: in.Memo, conversation: in.Conversation, state: RequestOpen, version: 1, created: now, updated: now,
	}
	if err := insertGroup(tx, at); err != nil {
		return GroupRequest{}, err
	}
	for _, share := range shares {
		ask, err := s.ask(tx, a, share, payee, now)
		if err != nil {
			return GroupRequest{}, fmt.Errorf("%s: %w", share.Payer, err)
		}
		ask.Request = at.id
		intent, err := s.place(tx, share, payee, ask, now)
		if err != nil {
			return GroupRequest{}, err
		}
		at.shares = append(at.shares, intent)
	}
	for _, intent := range at.shares {
		if err := s.announce(tx, intent, "requested", now); err != nil {
			return GroupRequest{}, err
		}
	}
	return at.view(Actor{Server: true}), s.announceGroup(tx, at, "created", now)
}

// CancelGroup withdraws a request that is open: by its payee or a server key.
// Shares that were not paid are cancelled and what is held for them goes back;
// paid ones stay.
func (s *Service) CancelGroup(ctx context.Context, a Actor, id string) (GroupRequest, error) {
	r, err := once(ctx, s, a, request{"operation": "requests.cancel", "request": id}, func(tx *sqldb.Tx, now time.Time) (GroupRequest, error) {
		return s.cancelGroup(tx, a, id, now)
	})
	if err == nil {
		err = s.namePayers(ctx, &r)
	}
	return r, err
}

// cancelGroup takes the locks in the order of every other writer: payments,
// the ledger, the request, the outbox.
func (s *Service) cancelGroup(tx *sqldb.Tx, a Actor, id string, now time.Time) (GroupRequest, error) {
	if err := lockShares(tx, id); err != nil {
		return GroupRequest{}, err
	}
	at, err := loadGroup(tx, id)
	if err != nil {
		return GroupRequest{}, err
	}
	if !a.Server && a.User != at.payee {
		return GroupRequest{}, at.refusalTo(a)
	}
	if at.state != RequestOpen {
		return GroupRequest{}, fmt.Errorf("%w: the request is %s", ErrState, at.state)
	}
	var ended []Intent
	for _, share := range at.shares {
		if share.settled() {
			continue
		}
		next, err := s.withdraw(tx, share.ID, now)
		if err != nil {
			return GroupRequest{}, err
		}
		ended = append(ended, next)
	}
	if at, err = s.moveGroup(tx, id, RequestCancelled, now); err != nil {
		return GroupRequest{}, err
	}
	for _, intent := range ended {
		if err := s.announce(tx, intent, "cancelled", now); err != nil {
			return GroupRequest{}, err
		}
	}
	return at.view(a), s.announceGroup(tx, at, "cancelled", now)
}

// withdraw cancels a share; its event is the caller's.
func (s *Service) withdraw(tx *sqldb.Tx, id string, now time.Time) (Intent, error) {
	at, err := load(tx, id)
	if err != nil {
		return Intent{}, err
	}
	r, err := at.Apply(Command{Do: DoCancel, By: Payee}, now)
	if err != nil {
		return Intent{}, err
	}
	return r.Next, s.commit(tx, change{r, at.rev}, now)
}

// settled reports whether a share waits for nothing more.
func (in *Intent) settled() bool {
	return in.dead() || slices.Contains([]State{Captured, PartRefunded, Refunded, Disputed}, in.State)
}

// followShare lets a request follow the change of one of its shares.
func (s *Service) followShare(tx *sqldb.Tx, id string, now time.Time) error {
	if err := tx.Lock("request:" + id); err != nil {
		return err
	}
	at, err := loadGroup(tx, id)
	if err != nil {
		return err
	}
	state, change := at.state, "share"
	waiting := slices.ContainsFunc(at.shares, func(in Intent) bool { return !in.settled() })
	if state == RequestOpen && !waiting {
		state, change = RequestComplete, "complete"
	}
	if at, err = s.moveGroup(tx, id, state, now); err != nil {
		return err
	}
	return s.announceGroup(tx, at, change, now)
}

// GetGroup shows a request to its payee, its payers and server keys.
func (s *Service) GetGroup(ctx context.Context, a Actor, id string) (GroupRequest, error) {
	var at group
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		at, err = loadGroup(tx, id)
		return err
	})
	if err != nil {
		return GroupRequest{}, err
	}
	if !a.Server && a.User != at.payee && !at.asks(a.User) {
		return GroupRequest{}, ErrRequestUnknown
	}
	r := at.view(a)
	return r, s.namePayers(ctx, &r)
}

// ListGroups returns the requests that a user made or is asked by, newest
// first, all of them to a server key; and the cursor of the next page or "".
func (s *Service) ListGroups(ctx context.Context, a Actor, cursor string, limit int) ([]GroupRequest, string, error) {
	if limit <= 0 || limit > 100 {
		limit = 50
	}
	var found []group
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		found, err = findGroups(tx, a, cursor, limit+1)
		return err
	})
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].id
	}
	list := make([]GroupRequest, len(found))
	for i, at := range found {
		list[i] = at.view(a)
		if err == nil {
			err = s.namePayers(ctx, &list[i])
		}
	}
	return list, next, err
}

func (s *Service) namePayers(ctx context.Context, r *GroupRequest) error {
	for i := range r.Payers {
		person, err := s.d.Names.Person(ctx, r.Payers[i].User)
		if err != nil && !errors.Is(err, ErrPartyUnknown) {
			return err
		}
		r.Payers[i].Name = person.Shown
	}
	return nil
}

// GroupEventData is the data of the events of requests to several people.
type GroupEventData struct {
	Request GroupRequest `json:"request"`
	Change  string       `json:"change" enum:"created,share,complete,cancelled"`
}

// announceGroup tells the payee everything, and the conversation what its
// members may know.
func (s *Service) announceGroup(tx *sqldb.Tx, at group, change string, now time.Time) error {
	all, err := json.Marshal(GroupEventData{Request: at.view(Actor{User: at.payee}), Change: change})
	if err != nil {
		return fmt.Errorf("payments: event: %w", err)
	}
	err = s.tell(tx, outbox.Event{Type: RequestEventType, Object: at.id, Data: all, Audience: outbox.Audience{Users: []string{at.payee}}}, now)
	if err != nil || at.conversation == "" || change == "share" {
		return err
	}
	shared, err := json.Marshal(GroupEventData{Request: at.view(Actor{}), Change: change})
	if err != nil {
		return fmt.Errorf("payments: event: %w", err)
	}
	return s.tell(tx, outbox.Event{Type: RequestEventType, Object: at.id, Data: shared, Audience: outbox.Audience{Conversation: at.conversation}}, now)
}
