package payments

import (
	"context"
	"time"
)

// Facts are what a policy decides on.
type Facts struct {
	// Payment and Version are empty for one that is not made yet.
	Payment      string
	Version      int64
	Payer, Payee string
	PayeeName    string // as shown to the payer
	Amount       int64  // what the payer pays, with a fee on top
	Currency     string
	Digits       int    // of the currency's minor units
	Relation     string // RelationFirst or RelationKnown
	NameCheck    string // of the payee
	// PayeeAgeDays and PayerAgeDays are the ages of the accounts; nil is unknown.
	PayeeAgeDays, PayerAgeDays *int64
	// Countries are ISO 3166-1 alpha-2; empty is unknown.
	PayerCountry, PayeeCountry string
	// Related says that the two share a conversation.
	Related bool
	// SinceEdit is how long ago an edited payment was changed; nil: it never was.
	SinceEdit *time.Duration
	// Device of the payer, if they ask from one.
	Device string
	// Signals of pressure that the payer's device reports, for example screen_sharing.
	Signals []string
}

// Relations of a payer to a payee.
const (
	RelationFirst = "first_payment" // nothing captured between them before, in this direction
	RelationKnown = "known"
)

// Decision is what a policy asks for.
type Decision struct {
	Decision string   `json:"decision" enum:"allow,require" doc:"require: what must happen before money moves"`
	Action   string   `json:"action,omitempty" enum:"allow,warn,ask,pause,require,hold_until,limit,deny" doc:"the strictest thing asked for"`
	What     []string `json:"what" doc:"what is required: live_confirmation, trusted_person, pause, acknowledge, cooling_off; limit when it leaves too little"`
	Rules    []string `json:"rules" doc:"the rules that led to it"`
	Explain  string   `json:"explain" doc:"for people"`
	// What is open of it. Only the payer and server keys see the rest.
	ID        string           `json:"id,omitempty" doc:"of the stored decision, to acknowledge it"`
	Until     *time.Time       `json:"until,omitempty" doc:"when the pause is over"`
	PauseS    int64            `json:"pause_s,omitempty" doc:"how many seconds a pause lasts from the first try"`
	CoolUntil *time.Time       `json:"cooling_off_until,omitempty" doc:"before this the held money is not captured"`
	CoolS     int64            `json:"cooling_off_s,omitempty" doc:"how many seconds after the hold nothing is captured"`
	Warnings  []SafetyWarning  `json:"warnings,omitempty" doc:"what the payer must have seen"`
	Questions []SafetyQuestion `json:"questions,omitempty" doc:"what the payer must answer"`
	Approver  string           `json:"approver,omitempty" doc:"the trusted person who is asked"`
	Left      *int64           `json:"left,omitempty" doc:"what a limit leaves: minor units, or a number of payments"`
	Frees     *time.Time       `json:"frees,omitempty" doc:"when a limit leaves enough again"`
}

// SafetyWarning is a text that the payer must have seen.
type SafetyWarning struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// SafetyQuestion is put to the payer.
type SafetyQuestion struct {
	ID      string         `json:"id"`
	Text    string         `json:"text"`
	Options []SafetyOption `json:"options"`
}

// SafetyOption is an answer that can be given.
type SafetyOption struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// Confirm returns how a payment under this decision is confirmed.
func (d Decision) Confirm() string {
	for _, w := range d.What {
		if w == "live_confirmation" {
			return ConfirmLive
		}
	}
	return ConfirmNone
}

// notLive is the decision on a payment for which no live confirmation is asked
// because a server key said so; whatever else is asked stays.
func (d Decision) notLive() Decision {
	what := []string{}
	for _, w := range d.What {
		if w != "live_confirmation" {
			what = append(what, w)
		}
	}
	if d.What = what; len(what) == 0 && d.Action != "deny" {
		d.Decision, d.Action, d.Rules, d.Explain = byServer.Decision, "allow", byServer.Rules, byServer.Explain
	}
	return d
}

// forPayee is what the payee may see of a decision: how to go on, and when
// the money comes, but nothing that would help to get around it.
func (d Decision) forPayee() Decision {
	shown := Decision{Decision: d.Decision, What: []string{}, Rules: []string{}, CoolUntil: d.CoolUntil, CoolS: d.CoolS}
	for _, w := range d.What {
		switch w {
		case "live_confirmation":
			shown.Explain = "Talk to each other and confirm together before the money moves."
			shown.What = append(shown.What, w)
		case "cooling_off":
			shown.What = append(shown.What, w)
		}
	}
	return shown
}

// Policy decides what a payment between users needs.
type Policy interface {
	Decide(ctx context.Context, f Facts) (Decision, error)
}

// AlwaysLive asks for live confirmation of every payment.
type AlwaysLive struct{}

// Decide implements Policy.
func (AlwaysLive) Decide(_ context.Context, f Facts) (Decision, error) {
	d := Decision{Decision: "require", What: []string{"live_confirmation"}, Rules: []string{"always_live"},
		Explain: "Talk to each other and confirm together before the money moves."}
	if f.Relation == RelationFirst {
		d.Rules = []string{"first_payment"}
		d.Explain = "You have not paid this person before. Talk to each other and confirm together before the money moves."
	}
	return d, nil
}

// byServer is the decision on a payment for which a server key asked for no live confirmation.
var byServer = Decision{Decision: "allow", What: []string{}, Rules: []string{"server_captures"}, Explain: "The app confirms this payment."}
