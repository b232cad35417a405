package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/internal/sqldb"
)

// Errors of asking somebody for money.
var (
	// ErrNoRelation says that the payer has not let the payee in. It is also
	// the answer to somebody whom the other has blocked.
	ErrNoRelation = errors.New("the other person does not know you")
	// ErrRequestsStopped says that several people reported requests of this
	// user, who may ask again once an app's server key has reviewed it.
	ErrRequestsStopped = errors.New("requests of this user are stopped until they are reviewed")
)

// Relations say who may ask whom. Both run in the transaction of the request.
type Relations interface {
	// Met reports whether payer and payee share a conversation that the payer
	// opened, wrote in or accepted, or that the app made.
	Met(tx *sqldb.Tx, payer, payee string) (bool, error)
	// Blocked reports whether by has blocked user.
	Blocked(tx *sqldb.Tx, by, user string) (bool, error)
}

// Who asked for a payment.
const (
	AskedByPayer  = "payer"  // an offer, or paid through a link
	AskedByPayee  = "payee"  // a request
	AskedByServer = "server" // the app
)

// Ask says who asked for a payment and how.
type Ask struct {
	// By is AskedByPayer, AskedByPayee or AskedByServer; empty in payments of old.
	By string
	// Silent: the payee asks somebody who never paid them. Nobody's phone may ring or buzz for it.
	Silent bool
	// PayeeCheck is Person.NameCheck of the payee at that time.
	PayeeCheck string
	// Link it was paid through, Request to several people it is a share of; or empty.
	Link, Request string
	// DeclineReason is one of DeclineReasons, or empty.
	DeclineReason string
	// Insisted: a server key asked for no live confirmation.
	Insisted bool
}

// Asked is what a Payment shows of an Ask.
type Asked struct {
	AskedBy       string   `json:"asked_by,omitempty" enum:"payer,payee,server" doc:"payer: an offer or a link; payee: a request"`
	Silent        bool     `json:"silent" doc:"a request of somebody the payer never paid: show it, but do not push, ring or buzz for it"`
	Headline      Headline `json:"headline" doc:"what to tell the payer, in the server's words; show the memo only as a quotation"`
	Link          string   `json:"link,omitempty" doc:"the payment link it was paid through"`
	Request       string   `json:"request,omitempty" doc:"the request to several people it is a share of"`
	DeclineReason string   `json:"decline_reason,omitempty" enum:"not_mine,wrong_amount,already_paid,unknown_sender,not_now,other"`
}

// Headline says in which direction the money goes. No part of it but the
// payee's name comes from a user.
type Headline struct {
	Code string `json:"code" enum:"pay,pay_close_name,pay_name_mismatch,pay_name_unchecked" doc:"how much the payee's name is worth; for translations"`
	Text string `json:"text" example:"You will PAY 42.50 EUR to Lea Marin"`
}

// headlines by the result of the name check; %s are amount and name.
var headlines = map[string]struct{ code, text string }{
	"match": {"pay", "You will PAY %s to %s"},
	"close": {"pay_close_name", "You will PAY %s to %s (the registered name; make sure that you mean this person)"},
	"none":  {"pay_name_mismatch", "You will PAY %s to “%s”, a name that does NOT match the account"},
}

func (in *Intent) headline() Headline {
	h, ok := headlines[in.Ask.PayeeCheck]
	if !ok {
		h.code, h.text = "pay_name_unchecked", "You will PAY %s to “%s”, a name that nobody has checked"
	}
	return Headline{Code: h.code, Text: fmt.Sprintf(h.text, FormatAmount(in.Total(), in.Currency), in.PayeeName)}
}

func (in *Intent) asked() Asked {
	return Asked{AskedBy: in.Ask.By, Silent: in.Ask.Silent, Headline: in.headline(),
		Link: in.Ask.Link, Request: in.Ask.Request, DeclineReason: in.Ask.DeclineReason}
}

// DeclineReasons are what a payer may give as the reason for a no: codes, so
// that a no carries no text between strangers.
var DeclineReasons = []string{"not_mine", "wrong_amount", "already_paid", "unknown_sender", "not_now", "other"}

// Decline is the payer's no to a request.
func (s *Service) Decline(ctx context.Context, a Actor, id string) (Payment, error) {
	return s.DeclineFor(ctx, a, id, "")
}

// DeclineFor is a no with a reason: one of DeclineReasons or empty.
func (s *Service) DeclineFor(ctx context.Context, a Actor, id, reason string) (Payment, error) {
	if reason != "" && !slices.Contains(DeclineReasons, reason) {
		return Payment{}, fmt.Errorf("%w: reason %.20q", ErrInput, reason)
	}
	var extra request
	if reason != "" {
		extra = request{"reason": reason}
	}
	return s.command(ctx, a, id, Command{Do: DoDecline, Reason: reason}, extra, nil)
}

func decline(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	in.Ask.DeclineReason = c.Reason
	return nil, nil
}

// ask decides whether a may ask for the payment, and how it reaches the payer.
// It runs in the transaction that makes the payment, so that limits are exact.
func (s *Service) ask(tx *sqldb.Tx, a Actor, in CreateInput, payee Person, now time.Time) (Ask, error) {
	ask := Ask{By: AskedByPayee, PayeeCheck: payee.NameCheck}
	switch {
	case a.Server:
		ask.By = AskedByServer
		return ask, nil
	case a.User == in.Payer:
		ask.By = AskedByPayer
		return ask, s.notBlocked(tx, in.Payee, in.Payer)
	}
	if err := tx.Lock(asksOf(in.Payee)); err != nil {
		return ask, err
	}
	paid, err := s.mayAsk(tx, in.Payer, in.Payee)
	if err != nil {
		return ask, err
	}
	if ask.Silent = !paid; ask.Silent {
		if err := checkStrangersText(in.Memo, in.Order); err != nil {
			return ask, err
		}
	}
	return ask, s.withinLimits(tx, in.Payer, in.Payee, now)
}

// asksOf is the lock under which a payee's requests are counted.
func asksOf(payee string) string { return "payments:asks:" + payee }

// mayAsk checks that payee may ask payer at all, and tells whether the payer
// has paid them before. A block answers like a stranger's refusal.
func (s *Service) mayAsk(tx *sqldb.Tx, payer, payee string) (paid bool, err error) {
	if err := s.notBlocked(tx, payer, payee); err != nil {
		return false, err
	}
	if err := s.notStopped(tx, payee); err != nil {
		return false, err
	}
	paid, started, err := history(tx, payer, payee)
	if err != nil || paid || started || s.d.Relations == nil {
		return paid, err
	}
	met, err := s.d.Relations.Met(tx, payer, payee)
	if err != nil {
		return false, err
	}
	if !met {
		return false, ErrNoRelation
	}
	return false, nil
}

func (s *Service) notBlocked(tx *sqldb.Tx, by, user string) error {
	if s.d.Relations == nil {
		return nil
	}
	blocked, err := s.d.Relations.Blocked(tx, by, user)
	if err == nil && blocked {
		err = ErrNoRelation
	}
	return err
}

// history tells whether payer has paid payee before, and whether the payer
// has ever started a payment to them: an offer, or one through a link.
func history(tx *sqldb.Tx, payer, payee string) (paid, started bool, err error) {
	var captured, own int64
	err = tx.QueryRow("SELECT COALESCE(MAX(captured), 0), COALESCE(MAX(CASE WHEN asked_by = 'payer' THEN 1 ELSE 0 END), 0)"+
		" FROM payments_intents WHERE payee = ? AND payer = ?", payee, payer).Scan(&captured, &own)
	if err != nil {
		return false, false, fmt.Errorf("payments: history: %w", err)
	}
	return captured > 0, own > 0, nil
}

// MayRing reports whether a payment under way lets from ring to: one that to
// has a part in. A stranger's request, or offer without money on hold, does not.
func (s *Service) MayRing(ctx context.Context, from, to string) (may bool, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		var n int
		err := tx.QueryRow("SELECT COUNT(*) FROM (SELECT 1 FROM payments_intents WHERE state IN ('requested', 'held', 'confirming', 'confirmed', 'part_captured', 'review', 'disputed')"+
			" AND (payer = ? AND payee = ? AND NOT (state = 'requested' AND silent = 1)"+
			" OR payer = ? AND payee = ? AND NOT (state = 'requested' AND asked_by = 'payer' AND link = '')) LIMIT 1) AS found", to, from, from, to).Scan(&n)
		may = n > 0
		return err
	})
	return may, err
}

// settleAsk lets what a payment belongs to follow its new state, in the same transaction.
func (s *Service) settleAsk(tx *sqldb.Tx, before State, in Intent, now time.Time) error {
	if in.Ask.Link != "" && before != in.State && in.dead() {
		return s.returnUse(tx, in.Ask.Link, now)
	}
	if in.Ask.Request != "" {
		return s.followShare(tx, in.Ask.Request, now)
	}
	return nil
}

// dead reports whether the payment ended without money having moved.
func (in *Intent) dead() bool {
	return slices.Contains([]State{Declined, Expired, Cancelled, Voided}, in.State)
}
