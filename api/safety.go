package api

import (
	"context"
	"errors"

	"parley/payments"
	"parley/safety"
	"parley/wire"
)

// safetyRules maps what the safety gate and its operations refuse to problems.
var safetyRules = []Rule{
	{Is: payments.ErrSafetyDenied, Code: "safety_denied", Status: 403, Title: "Not possible for safety", More: stopDetails},
	{Is: payments.ErrSafetyLimit, Code: "safety_limit", Status: 403, Title: "Over a limit", More: stopDetails},
	{Is: payments.ErrSafetyPause, Code: "safety_pause", Status: 409, Title: "A pause before this payment", More: stopDetails},
	{Is: payments.ErrSafetyAcknowledge, Code: "safety_acknowledge", Status: 409, Title: "Questions before this payment", More: stopDetails},
	{Is: payments.ErrSafetyApproval, Code: "safety_approval", Status: 409, Title: "A trusted person must approve", More: stopDetails},
	{Is: payments.ErrSafetyCooling, Code: "safety_cooling_off", Status: 409, Title: "The money may not move yet", More: stopDetails},
	{Is: payments.ErrSafetyAnswers, Code: "safety_answers", Status: 422, Title: "Answers not acceptable"},
	{Is: safety.ErrAnswers, Code: "safety_answers", Status: 422, Title: "Answers not acceptable"},
	{Is: safety.ErrUnknown, Code: "safety_unknown", Status: 404, Title: "Nothing is asked here"},
	{Is: safety.ErrNotAllowed, Code: "safety_not_yours", Status: 403, Title: "Not for this caller"},
	{Is: safety.ErrStale, Code: "safety_stale", Status: 409, Title: "Not the current one"},
	{Is: safety.ErrDecided, Code: "safety_decided", Status: 409, Title: "Decided already"},
	{Is: safety.ErrTrusted, Code: "trusted_person_invalid", Status: 422, Title: "Not possible as trusted person"},
}

// stopDetails tells the client what to do about a refusal of the gate.
func stopDetails(err error, p *wire.Problem) {
	var stop *payments.Stop
	if errors.As(err, &stop) {
		p.Details, p.RetryAfter, p.Until = stop.Decision, stop.RetryAfter, stop.Until()
	}
}

type trustedIn struct {
	User string `json:"user,omitempty" maxLength:"64" doc:"whose; a server key names one"`
}

type trustedSetIn struct {
	User    string `json:"user,omitempty" maxLength:"64" doc:"whose; a server key names one"`
	Trusted string `json:"trusted" minLength:"1" maxLength:"64" doc:"who approves for them"`
}

type safetyAcknowledgeIn struct {
	Payment  string            `json:"payment" maxLength:"80" doc:"payment id"`
	Version  int64             `json:"version" minimum:"1" doc:"of the payment, as the payer sees it"`
	Decision string            `json:"decision" maxLength:"64" doc:"from the refusal or the payment sheet"`
	Answers  map[string]string `json:"answers,omitempty" doc:"the id of the chosen option by question"`
}

type safetyStatus struct {
	Payment string            `json:"payment"`
	Result  string            `json:"result" enum:"go,denied,limit,acknowledge,pause,approval,cooling_off" doc:"what stands in the way now"`
	Policy  payments.Decision `json:"policy"`
}

type safetyApproveIn struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
	Version int64  `json:"version" minimum:"1" doc:"of the payment, from the request for approval"`
}

type safetyDecisionIn struct {
	Decision string `json:"decision" maxLength:"64"`
}

type safetyDecisionsIn struct {
	Payment string `json:"payment,omitempty" maxLength:"80"`
	Payer   string `json:"payer,omitempty" maxLength:"64"`
	Cursor  string `json:"cursor,omitempty" maxLength:"64" doc:"next of the page before"`
	Limit   int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type safetyDecisionsOut struct {
	Items []safety.Decision `json:"items"`
	Next  string            `json:"next" doc:"cursor of the next page; empty on the last"`
}

// PolicyOf shows a ruling as payment sheets do.
type PolicyOf func(r safety.Ruling) payments.Decision

// safetyOperations are the rows of trusted persons, acknowledgements, approvals and decisions.
func safetyOperations(s *safety.Service, show PolicyOf) []Operation {
	return append(append(trustedOperations(s), approvalOperations(s, show)...), decisionOperations(s)...)
}

// about is whose setting a caller speaks of: their own, or the one a server key names.
func about(c wire.Caller, user string) (string, error) {
	switch {
	case c.IsServer() && user != "":
		return user, nil
	case c.User != "" && (user == "" || user == string(c.User)):
		return string(c.User), nil
	}
	return "", safety.ErrNotAllowed
}

func trustedOperations(s *safety.Service) []Operation {
	set := func(ctx context.Context, c wire.Caller, user, trusted string) (safety.Trusted, error) {
		who, err := about(c, user)
		if err != nil {
			return safety.Trusted{}, err
		}
		return s.SetTrusted(ctx, who, trusted)
	}
	return []Operation{
		Op(Row{Name: "trusted.get", Method: "GET", Path: "/v1/trusted", Scope: "trusted", Summary: "Who approves for a user"},
			func(ctx context.Context, c wire.Caller, in trustedIn) (safety.Trusted, error) {
				who, err := about(c, in.User)
				if err != nil {
					return safety.Trusted{}, err
				}
				return s.TrustedOf(ctx, who)
			}),
		Op(Row{Name: "trusted.set", Method: "PUT", Path: "/v1/trusted", Scope: "trusted", Summary: "Name the trusted person",
			Description: "The first one holds at once; another one follows after the cooling-off, so that nobody can be talked into a change on the spot. Naming the present one again takes a change back."},
			func(ctx context.Context, c wire.Caller, in trustedSetIn) (safety.Trusted, error) {
				return set(ctx, c, in.User, in.Trusted)
			}),
		Op(Row{Name: "trusted.remove", Method: "DELETE", Path: "/v1/trusted", Scope: "trusted", Summary: "Do without a trusted person", Description: "Takes effect after the cooling-off."},
			func(ctx context.Context, c wire.Caller, in trustedIn) (safety.Trusted, error) {
				return set(ctx, c, in.User, "")
			}),
	}
}

func approvalOperations(s *safety.Service, show PolicyOf) []Operation {
	decide := func(yes bool) func(ctx context.Context, c wire.Caller, in safetyApproveIn) (safety.Approval, error) {
		return func(ctx context.Context, c wire.Caller, in safetyApproveIn) (safety.Approval, error) {
			return s.Approve(ctx, string(c.User), in.Payment, in.Version, yes)
		}
	}
	return []Operation{
		Op(Row{Name: "safety.acknowledge", Method: "POST", Path: "/v1/payments/{payment}/safety/acknowledge", Scope: "payments",
			Summary:     "Answer what is asked before a payment",
			Description: "By the payer. The same as `acknowledge` of payments.hold, for money that is on hold already. Questions are answered once; an answer can make things stricter."},
			func(ctx context.Context, c wire.Caller, in safetyAcknowledgeIn) (safetyStatus, error) {
				r, err := s.Acknowledge(ctx, string(c.User), in.Payment, in.Version, safety.Acknowledgement{Decision: in.Decision, Answers: in.Answers})
				return safetyStatus{Payment: in.Payment, Result: string(r.Stop), Policy: show(r)}, err
			}),
		Op(Row{Name: "safety.approve", Method: "POST", Path: "/v1/payments/{payment}/safety/approve", Scope: "payments", Roles: []wire.Role{wire.RoleUser},
			Summary: "Approve a payment as the trusted person", Description: "The payer can then go on. Holds for this version."}, decide(true)),
		Op(Row{Name: "safety.refuse", Method: "POST", Path: "/v1/payments/{payment}/safety/refuse", Scope: "payments", Roles: []wire.Role{wire.RoleUser},
			Summary: "Refuse a payment as the trusted person", Description: "This version of the payment is denied for good."}, decide(false)),
	}
}

func decisionOperations(s *safety.Service) []Operation {
	readers := []wire.Role{wire.RoleServer, wire.RoleOperator}
	return []Operation{
		Op(Row{Name: "safety.decisions", Method: "GET", Path: "/v1/safety/decisions", Scope: "safety", Roles: readers,
			Summary: "What was decided about payments, and from what", Description: "Newest first."},
			func(ctx context.Context, _ wire.Caller, in safetyDecisionsIn) (safetyDecisionsOut, error) {
				items, next, err := s.Decisions(ctx, safety.DecisionFilter{Payment: in.Payment, Payer: in.Payer, Cursor: in.Cursor, Limit: in.Limit})
				return safetyDecisionsOut{Items: items, Next: next}, err
			}),
		Op(Row{Name: "safety.decision", Method: "GET", Path: "/v1/safety/decisions/{decision}", Scope: "safety", Roles: readers, Summary: "One decision"},
			func(ctx context.Context, _ wire.Caller, in safetyDecisionIn) (safety.Decision, error) {
				return s.Decision(ctx, in.Decision)
			}),
	}
}

// acknowledgeIn answers a decision together with a command.
type acknowledgeIn struct {
	Decision string            `json:"decision" maxLength:"64" doc:"from the refusal or the payment sheet"`
	Answers  map[string]string `json:"answers,omitempty" doc:"the id of the chosen option by question"`
}

// hold puts a payment on hold, with answers and signals for the gate.
func hold(ctx context.Context, s *payments.Service, c wire.Caller, in paymentHoldInput) (payments.Payment, error) {
	with := payments.HoldInput{Version: in.Version, Signals: in.Signals}
	if in.Acknowledge != nil {
		with.Acknowledge = &payments.Acknowledgement{Decision: in.Acknowledge.Decision, Answers: in.Acknowledge.Answers}
	}
	if in.Source == "rail" {
		return s.HoldByRail(ctx, actor(c), in.Payment, in.Account, with)
	}
	return s.HoldWith(ctx, actor(c), in.Payment, with)
}
