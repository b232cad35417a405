package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// Confirmation is one party's confirmation, already proven.
type Confirmation struct {
	// By is the party, with the idempotency key of the submission.
	By      Actor
	Payment string
	// Version and Digest are what was confirmed.
	Version int64
	Digest  string
	// Call and Transcript bind it to the keys of the call it was made in.
	Call, Transcript string
	// Deadline of the confirmation, set when it was opened; the service bounds
	// it by its own rule, and the first confirmation decides for both.
	Deadline time.Time
}

func (c Confirmation) request() request {
	return request{"operation": string(DoConfirm), "payment": c.Payment, "version": fmt.Sprint(c.Version), "transcript": c.Transcript}
}

// ReplayConfirmTx returns the answer that this confirmation got before, under
// the same key, and whether there is one. Ask before verifying an assertion:
// its nonce is used up by the first submission.
func (s *Service) ReplayConfirmTx(tx *sqldb.Tx, c Confirmation) (Payment, bool, error) {
	if err := checkKey(c.By.Key); err != nil {
		return Payment{}, false, err
	}
	k, err := findKey(tx, c.By)
	if err != nil || k == nil {
		return Payment{}, false, err
	}
	p, err := replay[Payment](k, c.request())
	return p, true, err
}

// ConfirmTx takes a proven confirmation in the caller's transaction, in which
// the proof is stored. The first makes the payment confirming; the second, of
// the same version in the same call, makes it confirmed and captures it at
// once. The same confirmation under the same key gets the same answer. After
// an error the transaction must be undone.
func (s *Service) ConfirmTx(tx *sqldb.Tx, c Confirmation) (Payment, error) {
	if p, found, err := s.ReplayConfirmTx(tx, c); found || err != nil {
		return p, err
	}
	at, err := loadForUpdate(tx, c.Payment)
	if err != nil {
		return Payment{}, err
	}
	by, err := at.partyOf(c.By)
	if err != nil {
		return Payment{}, err
	}
	now := s.now()
	until := now.Add(s.cfg.ConfirmFor)
	if !c.Deadline.IsZero() && c.Deadline.Before(until) {
		until = c.Deadline.UTC().Truncate(time.Millisecond)
	}
	if !until.After(now) {
		return Payment{}, ErrConfirmationExpired
	}
	at, err = s.apply(tx, at, Command{
		Do: DoConfirm, By: by, Version: c.Version, Digest: c.Digest, Call: c.Call, Transcript: c.Transcript, Until: until,
	}, now)
	if err != nil {
		return Payment{}, err
	}
	p := view(at.Intent)
	return p, saveKey(tx, c.By, c.request(), keyDone, p, now)
}

// UnconfirmTx makes the confirmations of a payment void, because the call they
// were made in has other keys now or is over. A payment that is not confirming stays as it is.
func (s *Service) UnconfirmTx(tx *sqldb.Tx, id string) error {
	return s.internalTx(tx, id, DoUnconfirm)
}

// ReviewTx stops a payment until it is resolved: the words differed, or a party
// was restricted. A payment that is past its capture or over stays as it is.
func (s *Service) ReviewTx(tx *sqldb.Tx, id string) error {
	return s.internalTx(tx, id, DoReview)
}

// Review is ReviewTx in a transaction of its own.
func (s *Service) Review(ctx context.Context, id string) error {
	return s.d.DB.Update(ctx, func(tx *sqldb.Tx) error { return s.ReviewTx(tx, id) })
}

// internalTx gives a command of Parley's own; a state that does not allow it is no error.
func (s *Service) internalTx(tx *sqldb.Tx, id string, do Verb) error {
	at, err := loadForUpdate(tx, id)
	if err != nil {
		return err
	}
	_, err = s.apply(tx, at, Command{Do: do, By: Server}, s.now())
	if errors.Is(err, ErrState) {
		return nil
	}
	return err
}
