package payments

import (
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// isAlone reports whether a command writes more than a payment, its transfers,
// its event and the decision of the gate at a hold.
func (s *Service) isAlone(c Command) bool {
	return c.Do == DoReport || s.d.Gate != nil && (c.Do == DoEdit || c.Do == DoExtend)
}

// isAlone reports whether more than the payment itself follows what becomes of it:
// a link or a request to several people, or the rail that it is held at.
func (s *stored) isAlone(atRail bool) bool { return atRail || s.Ask.Link != "" || s.Ask.Request != "" }

// jointCommand is a command on its way through a commit that it shares with
// others. It does what Service.command does alone.
type jointCommand struct {
	s       *Service
	by      Actor
	id      string
	c       Command
	prepare preparation // nil: nothing to prepare

	at      *stored // what was read; nil: there is no such payment
	atRail  bool    // a rail is asked to hold it, or does
	asked   bool    // the gate, which writes
	changes []change
}

func (j *jointCommand) joint(req request) joint[Payment] {
	return joint[Payment]{by: j.by, req: req, locks: j.locks(), read: j.read, decide: j.decide, undo: j.undo, save: j.save, after: j.after}
}

// locks are those besides the key's. Where the gate decides, no other command
// of the commit is about the same payer, whose limits it counts.
func (j *jointCommand) locks() []string {
	locks := []string{paymentLock(j.id)}
	if gate := j.s.d.Gate; gate != nil && j.c.Do == DoHold && j.c.Safety != nil {
		locks = append(locks, gate.Locks(j.id, j.c.Safety.looked.Payer)...)
	}
	return locks
}

func (j *jointCommand) read(b *sqldb.Batch) {
	j.at = nil
	readIntent(b, j.id, func(read stored, authorised bool) { j.at, j.atRail = &read, authorised })
}

func (j *jointCommand) decide(tx *sqldb.Tx, now time.Time) (transfers []ledger.Transfer, err error) {
	j.asked = false
	switch {
	case j.at == nil:
		return nil, fmt.Errorf("%w: %.80s", ErrUnknown, j.id)
	case j.at.isAlone(j.atRail):
		return nil, errAlone
	}
	c := j.c
	if c.By, err = j.at.partyOf(j.by); err != nil {
		return nil, err
	}
	if j.prepare != nil {
		if err := j.prepare(tx, *j.at, &c, now); err != nil {
			return nil, err
		}
	}
	j.changes, err = j.s.plan(*j.at, c, now, func(at stored, r *Result, c Command) error {
		j.asked = j.asked || j.s.d.Gate != nil && c.Do == DoHold
		return j.s.pass(tx, at, r, c, now)
	})
	for _, ch := range j.changes {
		transfers = append(transfers, ch.transfers(now)...)
	}
	return transfers, err
}

// undo: what the gate wrote stays with the hold or with its own no.
func (j *jointCommand) undo(refused error) bool { return j.asked && !errors.As(refused, new(*Stop)) }

func (j *jointCommand) save(b *sqldb.Batch, _ []ledger.Entry) (Payment, error) {
	to := j.at.Intent
	for _, ch := range j.changes {
		if err := updateIn(b, ch.Next, ch.rev); err != nil {
			return Payment{}, err
		}
		to = ch.Next
	}
	for _, ch := range j.changes {
		if err := announceIn(b, ch.Next, ch.Change, to.UpdatedAt); err != nil {
			return Payment{}, err
		}
	}
	return view(to), nil
}

func (j *jointCommand) after() {
	for _, ch := range j.changes {
		j.s.announced(ch.Change)
	}
}
