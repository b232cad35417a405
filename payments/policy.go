package payments

import "context"

// Facts are what a policy decides on.
type Facts struct {
	Payer, Payee string
	Amount       int64
	Currency     string
	Relation     string // RelationFirst or RelationKnown
	NameCheck    string // of the payee
}

// Relations of a payer to a payee.
const (
	RelationFirst = "first_payment" // nothing captured between them before, in this direction
	RelationKnown = "known"
)

// Decision is what a policy asks for.
type Decision struct {
	Decision string   `json:"decision" enum:"allow,require" doc:"require: what must happen before money moves"`
	What     []string `json:"what" doc:"what is required, for example live_confirmation"`
	Rules    []string `json:"rules" doc:"the rules that led to it"`
	Explain  string   `json:"explain" doc:"for people"`
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
