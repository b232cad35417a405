package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"syscall"
	"time"

	"parley/chat"
	"parley/configs"
	"parley/identity"
	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/payments"
	"parley/safety"
	"parley/signaling"
	"parley/wire"
)

// loadRules reads the rules of a file, or the embedded ones when it is "".
func loadRules(file string) (*safety.Rules, error) {
	text := configs.Safety
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil { //nolint:gosec // the operator names the file
			return nil, fmt.Errorf("safety.rules: %w", err)
		}
	}
	rules, err := safety.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("safety.rules %s: %w", file, err)
	}
	return rules, nil
}

// reloadRules reads the file of rules again on SIGHUP, until ctx ends. Rules
// that are not usable leave those in force. Without a file it only waits.
func (p *parts) reloadRules(ctx context.Context) error {
	file := p.node.opts.Config.Safety.Rules
	if file == "" {
		<-ctx.Done()
		return nil
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
		}
		rules, err := loadRules(file)
		if err != nil {
			p.log.Error("safety rules not read again; the old ones stay", "err", err)
			continue
		}
		p.safety.Use(rules)
		p.log.Info("safety rules read again", "sha256", rules.Hash)
	}
}

// buildSafety makes the gate that payments ask. Its counts come from payments,
// which are made after it.
func (p *parts) buildSafety(n *Node, users *identity.Directory, related *relations) (*gate, error) {
	cfg := n.opts.Config.Safety
	rules, err := loadRules(cfg.Rules)
	if err != nil {
		return nil, err
	}
	counts := &committed{}
	p.safety, err = safety.New(safety.Config{TrustedAfter: cfg.TrustedAfter}, safety.Deps{
		DB: p.db, Clock: n.clock, Rules: rules, Counts: counts, Teller: teller{p.chat}, People: acquaintances{related},
		Witness: &witness{p}, Metrics: p.registry,
	})
	return &gate{safety: p.safety, users: users, chat: p.chat, clock: n.clock, counts: counts, parts: p}, err
}

// committed tells safety what payers committed (safety.Counts).
type committed struct{ payments *payments.Service }

func countOf(c safety.Count) payments.Committed {
	return payments.Committed{Payer: c.Payer, Currency: c.Currency, Payee: c.Payee, Since: c.Since, Except: c.Except}
}

// SumTx implements safety.Counts.
func (c *committed) SumTx(tx *sqldb.Tx, of safety.Count) (sum, number int64, err error) {
	return c.payments.CommittedTx(tx, countOf(of))
}

// SpendsTx implements safety.Counts.
func (c *committed) SpendsTx(tx *sqldb.Tx, of safety.Count, limit int) (list []safety.Spend, err error) {
	err = c.payments.CommittedListTx(tx, countOf(of), limit, func(at time.Time, amount int64) {
		list = append(list, safety.Spend{At: at, Amount: amount})
	})
	return list, err
}

// RequestsTx implements safety.Counts.
func (c *committed) RequestsTx(tx *sqldb.Tx, payee string, since time.Time) (int64, error) {
	return c.payments.RequestedTx(tx, payee, since)
}

// teller writes into people's own logs (safety.Teller).
type teller struct{ chat *chat.Service }

// TellTx implements safety.Teller.
func (t teller) TellTx(tx *sqldb.Tx, user, id, kind string, at time.Time, data json.RawMessage) error {
	u := wire.UserID(user)
	if err := t.chat.EnsureSelf(tx, u); err != nil {
		return err
	}
	_, err := t.chat.Append(tx, wire.SelfConversation(u), wire.Entry{ID: wire.EventID(id), Type: kind, Time: at, Data: data})
	return err
}

// witness keeps decisions among a payment's evidence (safety.Witness). Both
// parties may read that, so it has only the decision's hash: a server key can
// show the decision, and everybody that it is the one.
type witness struct{ parts *parts } // for identity, which is made later

// WitnessTx implements safety.Witness.
func (w *witness) WitnessTx(tx *sqldb.Tx, d safety.Decision) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	_, err = w.parts.identity.Evidence.AppendTx(tx, wire.PaymentID(d.Payment), identity.KindDecision, d.At, map[string]any{
		"decision": d.ID, "version": d.Version, "rules_sha256": d.Rules, "decision_sha256": hex.EncodeToString(sum[:]),
	})
	return err
}

// acquaintances tells who knows whom (safety.People).
type acquaintances struct{ related *relations }

// Related implements safety.People.
func (a acquaintances) Related(ctx context.Context, x, y string) (bool, error) {
	return a.related.Related(ctx, wire.UserID(x), wire.UserID(y))
}

// gate is safety as payments ask it (payments.Gate).
type gate struct {
	safety *safety.Service
	users  *identity.Directory
	chat   *chat.Service
	clock  clock.Clock
	counts *committed
	parts  *parts // for its calls, which are made later
}

// Look implements payments.Gate.
func (g *gate) Look(ctx context.Context, f payments.Facts) (payments.Facts, error) {
	payee, err := g.person(ctx, f.Payee)
	if err != nil {
		return f, err
	}
	payer, err := g.person(ctx, f.Payer)
	if err != nil {
		return f, err
	}
	f.NameCheck = payee.check
	f.PayeeAgeDays, f.PayerAgeDays, f.PayeeCountry, f.PayerCountry = payee.age, payer.age, payee.country, payer.country
	f.Related, err = g.chat.Related(ctx, wire.UserID(f.Payer), wire.UserID(f.Payee))
	return f, err
}

// party is what the rules may know of a person.
type party struct {
	age            *int64
	country, check string
}

func (g *gate) person(ctx context.Context, user string) (party, error) {
	u, err := g.users.Get(ctx, wire.UserID(user))
	if errors.Is(err, identity.ErrUserUnknown) {
		return party{check: "unavailable"}, nil
	}
	if err != nil {
		return party{}, err
	}
	seen := people{g.users, g.clock}.shown(u)
	days := int64(seen.AccountAgeDays)
	return party{age: &days, country: u.Country, check: seen.NameCheck}, nil
}

func (g *gate) facts(f payments.Facts) safety.Facts {
	return safety.Facts{
		Payment: f.Payment, Version: f.Version, Payer: f.Payer, Payee: f.Payee, PayeeName: f.PayeeName,
		Amount: f.Amount, Currency: f.Currency, Digits: f.Digits, Relation: f.Relation,
		Stranger: !f.Related && f.Relation == payments.RelationFirst, NameCheck: f.NameCheck,
		PayeeAgeDays: f.PayeeAgeDays, PayerAgeDays: f.PayerAgeDays, PayerCountry: f.PayerCountry, PayeeCountry: f.PayeeCountry,
		SinceEdit: f.SinceEdit, Device: f.Device, Signals: f.Signals,
	}
}

// Decide implements payments.Policy.
func (g *gate) Decide(ctx context.Context, f payments.Facts) (payments.Decision, error) {
	r, err := g.safety.Preview(ctx, g.facts(f))
	return policyOf(r), err
}

// Locks implements payments.Gate.
func (g *gate) Locks(payment, payer string) []string { return safety.Locks(payment, payer) }

// PassTx implements payments.Gate.
func (g *gate) PassTx(tx *sqldb.Tx, ask payments.GateAsk) (payments.GatePass, error) {
	f := g.facts(ask.Facts)
	if calls := g.parts.calls; calls != nil {
		_, err := calls.ActiveForTx(tx, wire.PaymentID(f.Payment))
		if err != nil && !errors.Is(err, signaling.ErrUnknown) {
			return payments.GatePass{}, err
		}
		f.CallActive = err == nil
	}
	question := safety.Ask{Facts: f, Step: safety.Step(ask.Step), Actor: actorName(ask.By), Insisted: ask.Insisted}
	if a := ask.Acknowledge; a != nil {
		question.Acknowledge = &safety.Acknowledgement{Decision: a.Decision, Answers: a.Answers}
	}
	r, err := g.safety.PassTx(tx, question)
	if errors.Is(err, safety.ErrAnswers) {
		return payments.GatePass{}, fmt.Errorf("%w: %w", payments.ErrSafetyAnswers, err)
	}
	if err != nil {
		return payments.GatePass{}, err
	}
	if r.Stop != safety.Go && ask.Step == payments.GateHold {
		return payments.GatePass{}, g.stop(r)
	}
	return payments.GatePass{Live: r.Live, CoolUntil: r.CoolUntil}, nil
}

func actorName(a payments.Actor) string {
	if a.User == "" {
		return "server"
	}
	return a.User
}

// CheckTx implements payments.Gate.
func (g *gate) CheckTx(tx *sqldb.Tx, payment string, version int64, byPayee bool) error {
	r, err := g.safety.CheckTx(tx, payment, version, byPayee)
	if err != nil || r.Stop == safety.Go {
		return err
	}
	stop := g.stop(r)
	if byPayee { // who is told no more than when the money comes
		stop.Decision = payments.Decision{Decision: "require", What: []string{}, Rules: []string{}, CoolUntil: stop.Decision.CoolUntil}
	}
	return stop
}

// stop is a ruling as a refusal.
func (g *gate) stop(r safety.Ruling) *payments.Stop {
	s := &payments.Stop{Reason: string(r.Stop), Decision: policyOf(r)}
	if wait := r.Until.Sub(g.clock.Now()); !r.Until.IsZero() && wait > 0 && r.Stop != safety.StopAcknowledge {
		s.RetryAfter = int(math.Ceil(wait.Seconds()))
	}
	return s
}

// policyOf shows a ruling as payment sheets and refusals do.
func policyOf(r safety.Ruling) payments.Decision {
	d := payments.Decision{
		Decision: "require", Action: string(r.Outcome.Action), What: []string{}, Rules: r.Outcome.Rules, Explain: r.Explain, ID: r.Decision,
		PauseS: int64(r.Outcome.Pause.Seconds()), CoolS: int64(r.Outcome.HoldFor.Seconds()), CoolUntil: timeOrNil(r.CoolUntil), Approver: r.Approver,
	}
	for _, w := range []struct {
		word string
		on   bool
	}{
		{"live_confirmation", r.Live}, {"trusted_person", r.Outcome.Trusted}, {"pause", r.Outcome.Pause > 0},
		{"acknowledge", len(r.Warnings)+len(r.Questions) > 0}, {"cooling_off", r.Outcome.HoldFor > 0}, {"limit", r.Stop == safety.StopLimit},
	} {
		if w.on {
			d.What = append(d.What, w.word)
		}
	}
	if len(d.What) == 0 && r.Outcome.Action != safety.Deny {
		d.Decision = "allow"
	}
	if d.Rules == nil {
		d.Rules = []string{}
	}
	if r.Stop == safety.StopLimit {
		d.Left, d.Frees = &r.Left, timeOrNil(r.Until)
	} else if r.Stop != safety.StopCooling {
		d.Until = timeOrNil(r.Until)
	}
	for _, w := range r.Warnings {
		d.Warnings = append(d.Warnings, payments.SafetyWarning(w))
	}
	for _, q := range r.Questions {
		shown := payments.SafetyQuestion{ID: q.ID, Text: q.Text}
		for _, o := range q.Options {
			shown.Options = append(shown.Options, payments.SafetyOption(o))
		}
		d.Questions = append(d.Questions, shown)
	}
	return d
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
