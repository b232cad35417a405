package payments

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/sqldb"
)

// ErrNameMismatch says that the account's holder has another name; see NameMismatchError.
var ErrNameMismatch = errors.New("the account's holder has another name")

// NameMismatchError tells how far a payout's holder is from the account's. It matches ErrNameMismatch.
type NameMismatchError struct {
	Match NameMatch
	// Registered is the account's name, for a close match only.
	Registered string
}

// Error implements error.
func (e *NameMismatchError) Error() string {
	if e.Registered != "" {
		return fmt.Sprintf("%v (%s): %s", ErrNameMismatch, e.Match, e.Registered)
	}
	return fmt.Sprintf("%v (%s)", ErrNameMismatch, e.Match)
}

// Unwrap returns ErrNameMismatch.
func (e *NameMismatchError) Unwrap() error { return ErrNameMismatch }

// Transfer is money on its way between a user's balance and the outside world,
// as it is shown and told in events. Amounts are minor units, times UTC.
type Transfer struct {
	ID          string     `json:"id" example:"pout_01jd0000000000000000000000"`
	User        string     `json:"user"`
	Kind        RailAction `json:"kind" enum:"payout,fund,authorise,refund"`
	Amount      int64      `json:"amount" doc:"minor units"`
	Currency    string     `json:"currency" doc:"ISO 4217"`
	Destination string     `json:"destination,omitempty" doc:"account or payment method, in the rail's words"`
	Holder      string     `json:"holder,omitempty" doc:"name of the account's holder, as it was checked"`
	NameCheck   NameMatch  `json:"name_check,omitempty" enum:"match,close_match,no_match,unavailable"`
	Payment     string     `json:"payment,omitempty" doc:"what an authorisation or refund is for"`
	State       OrderState `json:"state" enum:"queued,sent,pending,unknown,done,refused,returned" doc:"unknown: the rail gave no answer and is asked until it does; returned: it was done and the money came back"`
	Reason      string     `json:"reason,omitempty" doc:"ISO 20022 reason when refused or returned; review or another word when pending"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// OrderEvent is the data of an event about such a transfer.
type OrderEvent struct {
	Order  Transfer `json:"transfer"`
	Change string   `json:"change"` // its state
}

func viewOrder(o order) Transfer {
	return Transfer{ID: o.ID, User: o.User, Kind: o.Action, Amount: o.Amount, Currency: o.Currency, Destination: o.Account, Holder: o.Holder,
		NameCheck: o.Checked, Payment: o.Payment, State: o.State, Reason: o.Reason, CreatedAt: o.CreatedAt, UpdatedAt: o.Updated}
}

// PayoutInput asks for money to go out of a user's balance.
type PayoutInput struct {
	User        string // who asks, if empty
	Amount      int64
	Currency    string
	Destination string // at the rail; at most 128 characters
	// Holder is the name the destination should belong to; empty is not checked.
	Holder string
	// AcceptName goes on although the name does not match.
	AcceptName bool
}

const (
	maxDestination = 128
	maxHolder      = 140 // ISO 20022: Max140Text
)

// Payout takes the amount from the user's balance at once and orders the rail
// to pay it to the destination. What the rail refuses goes back. By the user or
// a server key.
func (s *Service) Payout(ctx context.Context, a Actor, in PayoutInput) (Transfer, error) {
	if err := s.checkPayout(&in, a); err != nil {
		return Transfer{}, err
	}
	if _, err := s.d.Names.Person(ctx, in.User); err != nil {
		return Transfer{}, err
	}
	match, err := s.checkHolder(ctx, a, in)
	if err != nil {
		return Transfer{}, err
	}
	req := request{"operation": "payout", "user": in.User, "amount": fmt.Sprint(in.Amount), "currency": in.Currency, "destination": in.Destination, "holder": in.Holder}
	return once(ctx, s, a, req, func(tx *sqldb.Tx, now time.Time) (Transfer, error) {
		o := s.newOrder(a, "pout_", RailPayout, in.User, in.Amount, in.Currency, now)
		o.Account, o.Holder, o.Checked = in.Destination, in.Holder, match
		return viewOrder(o), s.placeOutgoing(tx, o, now)
	})
}

// newOrder is an order that waits to be sent.
func (s *Service) newOrder(a Actor, prefix string, action RailAction, user string, amount int64, currency string, now time.Time) order {
	return order{ID: newID(prefix, now), Rail: s.d.Rail.Name(), Action: action, User: user, Amount: amount, Currency: currency,
		State: OrderQueued, Due: now, Scope: a.scope(), Key: a.Key, CreatedAt: now, Updated: now}
}

// placeOutgoing takes the money from the user and queues the order.
func (s *Service) placeOutgoing(tx *sqldb.Tx, o order, now time.Time) error {
	if err := s.move(tx, &o, "placed", availableAccount(o.User), payoutAccount(o.User), o.Amount, now); err != nil {
		return err
	}
	if err := insertOrder(tx, o); err != nil {
		return err
	}
	return s.announceOrder(tx, o, now)
}

func (s *Service) checkPayout(in *PayoutInput, a Actor) error {
	if in.User == "" {
		in.User = a.User
	}
	switch {
	case s.d.Rail == nil:
		return ErrNoRail
	case in.User == "":
		return fmt.Errorf("%w: user missing", ErrInput)
	case !a.Server && in.User != a.User:
		return fmt.Errorf("%w: payout from another user's balance", ErrNotParty)
	case in.Destination == "":
		return fmt.Errorf("%w: destination missing", ErrInput)
	}
	if err := CheckAmount(in.Amount, in.Currency); err != nil {
		return err
	}
	if err := s.checkText("destination", in.Destination, maxDestination); err != nil {
		return err
	}
	return s.checkText("holder", in.Holder, maxHolder)
}

// checkHolder compares the holder's name, unless the key has been used: a
// repeated request gets its first answer whatever the rail says now.
func (s *Service) checkHolder(ctx context.Context, a Actor, in PayoutInput) (NameMatch, error) {
	if in.Holder == "" {
		return "", nil
	}
	match, registered, err := s.CheckName(ctx, in.Destination, in.Holder)
	if err != nil || in.AcceptName || match == NameMatches || match == NameUnavailable {
		return match, err
	}
	used := false
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		var n int64
		err := tx.QueryRow("SELECT COUNT(*) FROM payments_keys WHERE scope = ? AND key = ?", a.scope(), a.Key).Scan(&n)
		used = n > 0
		return err
	})
	if err != nil || used {
		return match, err
	}
	return match, &NameMismatchError{Match: match, Registered: registered}
}

// CheckName compares holder with the name an account has at the rail, which it
// returns for a close match only. A rail that cannot tell, or does not answer,
// is NameUnavailable.
func (s *Service) CheckName(ctx context.Context, account, holder string) (NameMatch, string, error) {
	if s.d.Rail == nil {
		return "", "", ErrNoRail
	}
	checker, ok := s.d.Rail.(NameChecker)
	if !ok {
		return NameUnavailable, "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	match, registered, err := checker.CheckName(ctx, account, holder)
	if err != nil {
		s.d.Log.Warn("payments: the rail could not check a name", "error", err)
		return NameUnavailable, "", nil
	}
	if match != NameClose {
		registered = ""
	}
	return match, registered, nil
}

// nameTimeout bounds a name check; people wait for it.
const nameTimeout = 5 * time.Second

// GetTransfer returns a payout or top-up to its user or a server key; to
// others it is unknown.
func (s *Service) GetTransfer(ctx context.Context, a Actor, kind RailAction, id string) (Transfer, error) {
	var o order
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		o, err = loadOrder(tx, id)
		return err
	})
	if err == nil && (o.Action != kind || !a.Server && (a.User == "" || o.User != a.User)) {
		err = fmt.Errorf("%w: %.80s", ErrOrderUnknown, id)
	}
	if err != nil {
		return Transfer{}, err
	}
	return viewOrder(o), nil
}

// TransferFilter of ListTransfers; empty fields match all.
type TransferFilter struct {
	Kind   RailAction // RailPayout or RailFund
	User   string     // a server key may leave it out
	State  OrderState
	Cursor string // of the previous page
	Limit  int    // 1 to 100, 0 means 50
}

// ListTransfers returns payouts or top-ups, newest first, and the cursor of the next page or "".
func (s *Service) ListTransfers(ctx context.Context, a Actor, f TransferFilter) ([]Transfer, string, error) {
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 50
	}
	if !a.Server {
		if f.User != "" && f.User != a.User {
			return nil, "", fmt.Errorf("%w: transfers of another user", ErrNotParty)
		}
		f.User = a.User
	}
	where, args := []string{"action = ?"}, []any{string(f.Kind)}
	for _, c := range []struct{ column, value string }{{"user_id = ?", f.User}, {"state = ?", string(f.State)}, {"id < ?", f.Cursor}} {
		if c.value != "" {
			where, args = append(where, c.column), append(args, c.value)
		}
	}
	list := []Transfer{}
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		orders, err := queryOrders(tx, strings.Join(where, " AND ")+" ORDER BY id DESC LIMIT ?", append(args, f.Limit+1)...)
		for _, o := range orders {
			list = append(list, viewOrder(o))
		}
		return err
	})
	next := ""
	if err == nil && len(list) > f.Limit {
		list = list[:f.Limit]
		next = list[f.Limit-1].ID
	}
	return list, next, err
}
