package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// partyOf tells as whom an actor acts on a payment, or ErrNotParty.
func (in *Intent) partyOf(a Actor) (Party, error) {
	switch {
	case a.Server:
		return Server, nil
	case a.User == "":
	case a.User == in.Payer:
		return Payer, nil
	case a.User == in.Payee:
		return Payee, nil
	}
	return 0, ErrNotParty
}

// preparation completes a command from the payment and the database.
type preparation func(tx *sqldb.Tx, at stored, c *Command, now time.Time) error

// command lets an actor give one command under an idempotency key, together with
// other callers' where it can be. prepare may be nil.
func (s *Service) command(ctx context.Context, a Actor, id string, c Command, extra request, prepare preparation) (Payment, error) {
	req := request{"operation": string(c.Do), "payment": id}
	for k, v := range extra {
		req[k] = v
	}
	c, err := s.look(ctx, a, id, c)
	if err != nil {
		return Payment{}, err
	}
	if s.joining.Load() && !s.isAlone(c) {
		j := &jointCommand{s: s, by: a, id: id, c: c, prepare: prepare}
		p, err := together(ctx, s, j.joint(req))
		if !errors.Is(err, errAlone) && !errors.Is(err, ledger.ErrStopped) {
			return p, err
		}
	}
	return once(ctx, s, a, req, func(tx *sqldb.Tx, now time.Time) (Payment, error) {
		at, err := loadForUpdate(tx, id)
		if err != nil {
			return Payment{}, err
		}
		if c.By, err = at.partyOf(a); err != nil {
			return Payment{}, err
		}
		if prepare != nil {
			if err := prepare(tx, at, &c, now); err != nil {
				return Payment{}, err
			}
		}
		at, err = s.apply(tx, at, c, now)
		return view(at.Intent), err
	})
}

// Hold reserves the amount from the payer's balance. version is what the
// payer has seen, 0 for the current one.
func (s *Service) Hold(ctx context.Context, a Actor, id string, version int64) (Payment, error) {
	return s.HoldWith(ctx, a, id, HoldInput{Version: version})
}

// EditInput changes what the payee asks for.
type EditInput struct {
	Version int64
	Amount  int64   // 0 keeps it
	Memo    *string // nil keeps it
}

// Edit makes a new version: confirmations are void, what is held beyond a lower
// amount goes back at once, and a higher amount gives all of the hold back and
// waits for a new one.
func (s *Service) Edit(ctx context.Context, a Actor, id string, in EditInput) (Payment, error) {
	extra := request{}
	if in.Amount != 0 {
		extra["amount"] = fmt.Sprint(in.Amount)
	}
	if in.Memo != nil {
		if err := s.checkText("memo", *in.Memo, maxMemo); err != nil {
			return Payment{}, err
		}
		extra["memo"] = *in.Memo
	}
	return s.command(ctx, a, id, Command{Do: DoEdit, Version: in.Version, Amount: in.Amount, Memo: in.Memo}, extra,
		func(_ *sqldb.Tx, at stored, c *Command, now time.Time) error {
			c.Until = now.Add(s.cfg.RequestFor)
			return at.mayEdit(in)
		})
}

// Capture takes amount (0: all that can be captured) from the hold for the
// payee, with the fee for us, and gives the rest back. A payment that needs live
// confirmation must be confirmed by both first.
func (s *Service) Capture(ctx context.Context, a Actor, id string, amount int64) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoCapture, Amount: amount}, amountField(amount), nil)
}

// CapturePart is Capture that leaves the rest on hold for captures that follow.
// Taking all that is left ends the hold as Capture does.
func (s *Service) CapturePart(ctx context.Context, a Actor, id string, amount int64) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoCapture, Amount: amount, KeepRest: true},
		request{"amount": fmt.Sprint(amount), "final": "false"}, nil)
}

// Extend lets a hold last for d from now, by the payer or a server key, but not
// beyond the service's bound for holds. When not both have confirmed yet, it
// makes a new version.
func (s *Service) Extend(ctx context.Context, a Actor, id string, d time.Duration) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoExtend}, request{"expires_in": fmt.Sprint(d.Seconds())},
		func(_ *sqldb.Tx, at stored, c *Command, now time.Time) error {
			c.Until = now.Add(d).Truncate(time.Millisecond)
			if latest := at.HeldAt.Add(s.cfg.MaxHold); at.Held > 0 && c.Until.After(latest) {
				return fmt.Errorf("%w: this hold can last until %s", ErrInput, latest.Format(time.RFC3339))
			}
			return nil
		})
}

// Reduce gives a part of a hold back, so that no more than amount can still be
// captured: the payee's own step back, or a server key's. A payment that both
// have yet to confirm live is edited instead, because the amount is what they confirm.
func (s *Service) Reduce(ctx context.Context, a Actor, id string, amount int64) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoReduce, Amount: amount}, amountField(amount), nil)
}

// Void gives held money back to the payer.
func (s *Service) Void(ctx context.Context, a Actor, id string) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoVoid}, nil, nil)
}

// Cancel is the payee's withdrawal; held money goes back.
func (s *Service) Cancel(ctx context.Context, a Actor, id string) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoCancel}, nil, nil)
}

// Refund gives amount (0: all that is left) of a captured payment back to the payer.
func (s *Service) Refund(ctx context.Context, a Actor, id string, amount int64) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoRefund, Amount: amount}, amountField(amount), nil)
}

// Report is the payer's word that something is wrong: the payment goes to
// review, or when captured is disputed and what the payee still has of it is reserved.
func (s *Service) Report(ctx context.Context, a Actor, id string) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoReport}, nil, s.reported)
}

// maxAnswer is the longest answer to a dispute, in characters.
const maxAnswer = 1000

// Answer is the payee's answer to a dispute, once and in time. From then on the
// app has to resolve it.
func (s *Service) Answer(ctx context.Context, a Actor, id, text string) (Payment, error) {
	if err := s.checkText("text", text, maxAnswer); err != nil {
		return Payment{}, err
	}
	return s.command(ctx, a, id, Command{Do: DoAnswer, Memo: &text}, request{"text": text},
		func(_ *sqldb.Tx, _ stored, c *Command, now time.Time) error {
			c.Until = now.Add(s.cfg.DecideFor)
			return nil
		})
}

// Resolve ends a review or dispute in favour of the payer (money back) or the
// payee (a review: go on; a dispute: the reserve is theirs again). Server keys only.
func (s *Service) Resolve(ctx context.Context, a Actor, id string, winner Party) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoResolve, For: winner}, request{"for": fmt.Sprint(winner)}, nil)
}

// reserveOf tells a dispute what the payee has, and its deadlines.
func (s *Service) reserveOf(tx *sqldb.Tx, at stored, c *Command, now time.Time) (err error) {
	c.Dispute = s.cfg.disputeTerms(now)
	c.Available, err = availableOf(tx, availableAccount(at.Payee), at.Currency)
	return err
}

func amountField(amount int64) request {
	if amount == 0 {
		return nil
	}
	return request{"amount": fmt.Sprint(amount)}
}
