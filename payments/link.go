package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/payments/outbox"
)

// Errors of payment links.
var (
	// ErrLinkUnknown says that there is no link of this id.
	ErrLinkUnknown = errors.New("payment link unknown")
	// ErrLinkUsed says that the link was used as often as it may be.
	ErrLinkUsed = errors.New("payment link is used up")
	// ErrLinkClosed says that the link was cancelled, has expired, or takes no
	// payment of this user.
	ErrLinkClosed = errors.New("payment link takes no payment")
)

// LinkState is the state of a payment link.
type LinkState string

// The states. Cancelled and expired are final; a used link is open again when
// a payment made through it ends without money having moved.
const (
	LinkOpen      LinkState = "open"
	LinkUsed      LinkState = "used"
	LinkCancelled LinkState = "cancelled"
	LinkExpired   LinkState = "expired"
)

// Link is a payment link as it is shown: to its payee and server keys with
// everything, to others without the counts and the order.
type Link struct {
	ID         string     `json:"id" example:"lnk_01jd0000000000000000000000"`
	URL        string     `json:"url" doc:"what to give to the payer"`
	State      LinkState  `json:"state" enum:"open,used,cancelled,expired"`
	Version    int64      `json:"version"`
	Payee      string     `json:"payee"`
	PayeeName  string     `json:"payee_name" doc:"as shown to the payer"`
	NameCheck  string     `json:"name_check" enum:"match,close,none,unavailable"`
	Headline   *Headline  `json:"headline,omitempty" doc:"what to tell the payer; only where the amount is fixed"`
	Amount     int64      `json:"amount,omitempty" doc:"minor units; absent where the payer says how much"`
	AmountMin  int64      `json:"amount_min,omitempty" doc:"of an open amount"`
	AmountMax  int64      `json:"amount_max,omitempty" doc:"of an open amount"`
	Currency   string     `json:"currency" doc:"ISO 4217"`
	Memo       string     `json:"memo,omitempty"`
	Order      string     `json:"order,omitempty"`
	Confirm    string     `json:"confirm,omitempty" enum:"live,none"`
	Uses       int64      `json:"uses,omitempty" doc:"how many payments it takes; absent: any number"`
	Used       int64      `json:"used" doc:"payments made through it that did not end without money having moved"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	OwnedByYou bool       `json:"owned_by_you" doc:"the one who asks would be paid"`
}

// LinkInput describes a link to make.
type LinkInput struct {
	// Payee is named by a server key; a user makes links of their own.
	Payee string
	// Amount is fixed; 0 lets the payer say how much, from Min (0 means 1) to
	// Max (0 means MaxAmount).
	Amount, Min, Max int64
	Currency         string
	Memo, Order      string
	// Uses is how many payments it takes; nil means 1, 0 any number.
	Uses *int64
	// ExpiresIn is 1 minute to 366 days; 0 means 30 days.
	ExpiresIn time.Duration
	// Confirm is ConfirmLive, or ConfirmNone from a server key; empty lets the policy decide.
	Confirm string
}

const (
	linkFor    = 30 * day
	maxLinkFor = 366 * day
	maxUses    = 1_000_000
)

// LinkEventType is the type of the events of links.
const LinkEventType = "link.updated"

// CreateLink makes a payment link. It is open to whoever gets hold of it.
func (s *Service) CreateLink(ctx context.Context, a Actor, in LinkInput) (Link, error) {
	if err := s.completeLink(&in, a); err != nil {
		return Link{}, err
	}
	payee, err := s.d.Names.Person(ctx, in.Payee)
	if err != nil {
		return Link{}, fmt.Errorf("payee: %w", err)
	}
	return once(ctx, s, a, in.request(), func(tx *sqldb.Tx, now time.Time) (Link, error) {
		if !a.Server {
			if err := s.mayLink(tx, in.Payee, now); err != nil {
				return Link{}, err
			}
		}
		at := link{
			id: newID("lnk_", now), payee: in.Payee, payeeName: payee.Shown, nameCheck: payee.NameCheck,
			amount: in.Amount, min: in.Min, max: in.Max, currency: in.Currency, memo: in.Memo, order: in.Order, confirm: in.Confirm,
			uses: *in.Uses, state: LinkOpen, version: 1, expires: now.Add(in.ExpiresIn), created: now, updated: now,
		}
		if err := insertLink(tx, at); err != nil {
			return Link{}, err
		}
		return s.linkView(at, a), s.announceLink(tx, at, "created", now)
	})
}

// completeLink fills in what was left out and checks the rest.
func (s *Service) completeLink(in *LinkInput, a Actor) error {
	if in.Payee == "" {
		in.Payee = a.User
	}
	one := int64(1)
	if in.Uses == nil {
		in.Uses = &one
	}
	orDefault(&in.ExpiresIn, linkFor)
	switch {
	case in.Payee == "":
		return fmt.Errorf("%w: payee is needed", ErrInput)
	case !a.Server && in.Payee != a.User:
		return fmt.Errorf("%w: a user makes links of their own", ErrNotParty)
	case !a.Server && in.Confirm == ConfirmNone:
		return fmt.Errorf("%w: only a server key may do without live confirmation", ErrNotParty)
	case in.Confirm != "" && in.Confirm != ConfirmLive && in.Confirm != ConfirmNone:
		return fmt.Errorf("%w: confirm %.16q", ErrInput, in.Confirm)
	case *in.Uses < 0 || *in.Uses > maxUses:
		return fmt.Errorf("%w: uses must be 0 to %d", ErrInput, maxUses)
	case in.ExpiresIn < minExpiresIn || in.ExpiresIn > maxLinkFor:
		return fmt.Errorf("%w: expires_in must be 60 to %d seconds", ErrInput, int(maxLinkFor.Seconds()))
	case in.Amount != 0 && (in.Min != 0 || in.Max != 0):
		return fmt.Errorf("%w: an amount is fixed or has bounds", ErrInput)
	}
	if err := in.completeAmount(); err != nil {
		return err
	}
	if err := s.checkText("order", in.Order, maxOrder); err != nil {
		return err
	}
	if err := s.checkText("memo", in.Memo, maxMemo); err != nil || a.Server {
		return err
	}
	return checkStrangersText(in.Memo, in.Order) // whoever opens the link may be a stranger
}

func (in *LinkInput) completeAmount() error {
	if in.Amount != 0 {
		return CheckAmount(in.Amount, in.Currency)
	}
	if in.Min == 0 {
		in.Min = 1
	}
	if in.Max == 0 {
		in.Max = MaxAmount
	}
	if in.Max < in.Min {
		return fmt.Errorf("%w: amount_max is less than amount_min", ErrAmount)
	}
	return errors.Join(CheckAmount(in.Min, in.Currency), CheckAmount(in.Max, in.Currency))
}

func (in LinkInput) request() request {
	return request{
		"operation": "links.create", "payee": in.Payee, "amount": fmt.Sprint(in.Amount), "amount_min": fmt.Sprint(in.Min), "amount_max": fmt.Sprint(in.Max),
		"currency": in.Currency, "memo": in.Memo, "order": in.Order, "uses": fmt.Sprint(*in.Uses), "expires_in": fmt.Sprint(in.ExpiresIn.Seconds()), "confirm": in.Confirm,
	}
}

// mayLink counts a user's links against AskLimits.PerDay.
func (s *Service) mayLink(tx *sqldb.Tx, payee string, now time.Time) error {
	if err := tx.Lock(asksOf(payee)); err != nil {
		return err
	}
	if err := s.notStopped(tx, payee); err != nil {
		return err
	}
	var n, first int64
	err := tx.QueryRow("SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM payments_links WHERE payee = ? AND created_at > ?",
		payee, now.Add(-day).UnixMilli()).Scan(&n, &first)
	if err != nil {
		return fmt.Errorf("payments: limits: %w", err)
	}
	if n >= int64(s.cfg.Asking.PerDay) {
		return &LimitError{Limit: "per_day", Retry: fromMillis(first).Add(day).Sub(now)}
	}
	return nil
}

// PayLink makes the payment of a link with the caller as payer. amount is 0 or
// the link's own where that is fixed, and between its bounds where it is open.
// A single-use link is claimed by one payment; others get ErrLinkUsed.
func (s *Service) PayLink(ctx context.Context, a Actor, id string, amount int64) (Payment, error) {
	if a.User == "" {
		return Payment{}, fmt.Errorf("%w: a link is paid by a person", ErrNotParty)
	}
	seen, err := s.link(ctx, id)
	if err != nil {
		return Payment{}, err
	}
	in := CreateInput{Payer: a.User, Payee: seen.payee, Currency: seen.currency, Order: seen.order, Memo: seen.memo, Confirm: seen.confirm}
	if in.Payer == in.Payee {
		return Payment{}, ErrSelf
	}
	if in.Amount, err = seen.amountFor(amount); err != nil {
		return Payment{}, err
	}
	payee, err := s.meet(ctx, in)
	if err != nil {
		return Payment{}, err
	}
	if in.Confirm == "" {
		decision, err := s.decide(ctx, in.Payer, in.Payee, in.Amount, in.Currency, payee.NameCheck)
		if err != nil {
			return Payment{}, err
		}
		in.Confirm = decision.Confirm()
	}
	req := request{"operation": "links.pay", "link": id, "amount": fmt.Sprint(amount)}
	return once(ctx, s, a, req, func(tx *sqldb.Tx, now time.Time) (Payment, error) {
		if err := s.mayPayLink(tx, in); err != nil {
			return Payment{}, err
		}
		at, err := claimLink(tx, id, now)
		if err != nil {
			return Payment{}, err
		}
		ask := Ask{By: AskedByPayer, PayeeCheck: payee.NameCheck, Link: id, Insisted: seen.confirm == ConfirmNone}
		intent, err := s.place(tx, in, payee, ask, now)
		if err != nil {
			return Payment{}, err
		}
		if err := s.announce(tx, intent, "requested", now); err != nil {
			return Payment{}, err
		}
		return view(intent), s.announceLink(tx, at, "paid", now)
	})
}

// mayPayLink keeps those out whom the payee has blocked, and everybody while
// the payee's requests are stopped; both hear the same.
func (s *Service) mayPayLink(tx *sqldb.Tx, in CreateInput) error {
	err := s.notBlocked(tx, in.Payee, in.Payer)
	if err == nil {
		err = s.notStopped(tx, in.Payee)
	}
	if errors.Is(err, ErrNoRelation) || errors.Is(err, ErrRequestsStopped) {
		return ErrLinkClosed
	}
	return err
}

// CancelLink closes a link: by its payee or a server key. Payments made
// through it go on.
func (s *Service) CancelLink(ctx context.Context, a Actor, id string) (Link, error) {
	return once(ctx, s, a, request{"operation": "links.cancel", "link": id}, func(tx *sqldb.Tx, now time.Time) (Link, error) {
		at, err := loadLink(tx, id)
		if err != nil {
			return Link{}, err
		}
		if !a.Server && a.User != at.payee {
			return Link{}, fmt.Errorf("%w: cancel", ErrNotParty)
		}
		if at, err = closeLink(tx, id, LinkCancelled, now); err != nil {
			return Link{}, err
		}
		return s.linkView(at, a), s.announceLink(tx, at, "cancelled", now)
	})
}

// GetLink shows a link to whoever has its id.
func (s *Service) GetLink(ctx context.Context, a Actor, id string) (Link, error) {
	at, err := s.link(ctx, id)
	if err != nil {
		return Link{}, err
	}
	if at.state == LinkOpen && past(at.expires, s.now()) {
		at.state = LinkExpired
	}
	payee, err := s.d.Names.Person(ctx, at.payee)
	if err != nil {
		return Link{}, err
	}
	at.payeeName, at.nameCheck = payee.Shown, payee.NameCheck
	return s.linkView(at, a), nil
}

func (s *Service) link(ctx context.Context, id string) (at link, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		at, err = loadLink(tx, id)
		return err
	})
	return at, err
}

// ListLinks returns links, newest first, and the cursor of the next page or
// "". A user sees their own; a server key all, or those of payee.
func (s *Service) ListLinks(ctx context.Context, a Actor, payee, cursor string, limit int) ([]Link, string, error) {
	if !a.Server {
		payee = a.User
	}
	if limit <= 0 || limit > 100 {
		limit = 50
	}
	var found []link
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		found, err = findLinks(tx, payee, cursor, limit+1)
		return err
	})
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].id
	}
	links := make([]Link, len(found))
	for i, at := range found {
		links[i] = s.linkView(at, a)
	}
	return links, next, err
}

// linkView shows a link to a.
func (s *Service) linkView(at link, a Actor) Link {
	l := Link{
		ID: at.id, URL: s.cfg.LinkURL + at.id, State: at.state, Version: at.version, Payee: at.payee, PayeeName: at.payeeName, NameCheck: at.nameCheck,
		Amount: at.amount, AmountMin: at.min, AmountMax: at.max, Currency: at.currency, Memo: at.memo, Confirm: at.confirm,
		ExpiresAt: optional(at.expires), CreatedAt: at.created, UpdatedAt: at.updated, OwnedByYou: a.User != "" && a.User == at.payee,
	}
	if at.amount > 0 {
		in := Intent{Amount: at.amount, Currency: at.currency, Fees: s.cfg.feeRule(at.currency), PayeeName: at.payeeName, Ask: Ask{PayeeCheck: at.nameCheck}}
		headline := in.headline()
		l.Headline = &headline
	}
	if a.Server || a.User == at.payee {
		l.Order, l.Uses, l.Used = at.order, at.uses, at.used
	}
	return l
}

// LinkEventData is the data of the events of links; they go to the payee.
type LinkEventData struct {
	Link   Link   `json:"link"`
	Change string `json:"change" enum:"created,paid,returned,cancelled,expired"`
}

func (s *Service) announceLink(tx *sqldb.Tx, at link, change string, now time.Time) error {
	data, err := json.Marshal(LinkEventData{Link: s.linkView(at, Actor{User: at.payee}), Change: change})
	if err != nil {
		return fmt.Errorf("payments: event: %w", err)
	}
	return s.tell(tx, outbox.Event{Type: LinkEventType, Object: at.id, Data: data, Audience: outbox.Audience{Users: []string{at.payee}}}, now)
}
