package api

import (
	"context"
	"time"

	"parley/payments"
	"parley/payments/ledger"
	"parley/wire"
)

// paymentRules maps what payments refuses to problems. An error may match
// several rules; the first one counts.
var paymentRules = []Rule{
	{Is: payments.ErrKeyMissing, Code: "idempotency_key_missing", Status: 400, Title: "Idempotency key missing"},
	{Is: payments.ErrKeyInvalid, Code: "idempotency_key_invalid", Status: 400, Title: "Idempotency key not usable"},
	{Is: payments.ErrKeyReused, Code: "idempotency_key_reused", Status: 422, Title: "Idempotency key used for another request"},
	{Is: payments.ErrInProgress, Code: "idempotency_in_progress", Status: 409, Title: "The first request with this key is still running", RetryAfter: 1},
	{Is: payments.ErrUnavailable, Money: true, Code: "ledger_unavailable", Status: 503, Title: "The ledger cannot be reached", RetryAfter: 1, Hide: true},
	{Is: payments.ErrUnknown, Code: "payment_unknown", Status: 404, Title: "No such payment"},
	{Is: payments.ErrPartyUnknown, Code: "user_unknown", Status: 404, Title: "No such user"},
	{Is: payments.ErrNotParty, Code: "not_party", Status: 403, Title: "Not a party who may do this"},
	{Is: payments.ErrVersionStale, Code: "payment_version_stale", Status: 409, Title: "The payment has changed"},
	{Is: payments.ErrHoldExpired, Code: "hold_expired", Status: 409, Title: "The hold has expired"},
	{Is: payments.ErrConfirmationExpired, Code: "confirmation_expired", Status: 409, Title: "The time to confirm is over"},
	{Is: payments.ErrLiveRequired, Code: "live_confirmation_required", Status: 409, Title: "Both parties have to confirm live"},
	{Is: payments.ErrState, Code: "payment_state", Status: 409, Title: "The payment's state does not allow this"},
	{Is: payments.ErrInsufficientFunds, Code: "insufficient_funds", Status: 402, Title: "Insufficient funds (AM04)"},
	{Is: ledger.ErrCeiling, Code: "account_ceiling", Status: 409, Title: "The account would hold too much"},
	{Is: ledger.ErrAccountClosed, Code: "account_closed", Status: 409, Title: "The account is closed"},
	{Is: payments.ErrTooMuch, Code: "amount_invalid", Status: 422, Title: "More than there is"},
	{Is: payments.ErrAmount, Code: "amount_invalid", Status: 422, Title: "Amount not acceptable"},
	{Is: payments.ErrCurrency, Code: "currency_unknown", Status: 422, Title: "No such currency"},
	{Is: payments.ErrSensitive, Code: "sensitive_data", Status: 422, Title: "Card numbers are not accepted"},
	{Is: payments.ErrSelf, Code: "payment_to_self", Status: 422, Title: "Payer and payee are the same"},
	{Is: payments.ErrInput, Code: "invalid_params", Status: 422, Title: "Invalid parameters"},
	{Is: payments.ErrConversation, Code: "not_member", Status: 403, Title: "Not both parties are in the conversation"},
	{Is: payments.ErrRail, Code: "rail_refused", Status: 402, Title: "Refused by the rail"},
	{Is: payments.ErrNoRail, Code: "rail_unavailable", Status: 404, Title: "There is no such rail here"},
}

// actor is the caller as payments knows it.
func actor(c wire.Caller) payments.Actor {
	return payments.Actor{User: string(c.User), Server: c.IsServer(), Device: string(c.Device), Key: c.IdempotencyKey}
}

// officer is who acts in a row that admits operators: they stand for the app,
// whose people they are. The audit line names them.
func officer(c wire.Caller) payments.Actor {
	if c.Role == wire.RoleOperator {
		return payments.Actor{Server: true, Key: c.IdempotencyKey}
	}
	return actor(c)
}

type paymentCreateInput struct {
	Payer        string `json:"payer,omitempty" maxLength:"64" doc:"who pays; a user who leaves it out and names the payee offers to pay"`
	Payee        string `json:"payee,omitempty" maxLength:"64" doc:"who is paid; a user who leaves it out asks to be paid"`
	Amount       int64  `json:"amount" minimum:"1" maximum:"999999999999" doc:"minor units" example:"12000"`
	Currency     string `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
	Conversation string `json:"conversation,omitempty" maxLength:"80" doc:"whose log shows the payment"`
	Order        string `json:"order,omitempty" maxLength:"64" doc:"the app's own reference" example:"ord_77"`
	Memo         string `json:"memo,omitempty" maxLength:"200" example:"Bike"`
	ExpiresIn    int64  `json:"expires_in,omitempty" minimum:"60" maximum:"7776000" doc:"seconds until the request expires; a day if left out"`
	Confirm      string `json:"confirm,omitempty" enum:"live,none" doc:"none only with a server key; the policy decides if left out"`
	Capture      string `json:"capture,omitempty" enum:"automatic,manual" doc:"automatic: all of the hold is captured as soon as what confirm asks for is there, with none right after the hold; manual: by payments.capture. Automatic for live and manual for none if left out"`
}

type paymentInput struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
}

type paymentHoldInput struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
	Version int64  `json:"version,omitempty" minimum:"1" doc:"what the payer has seen"`
	Source  string `json:"source,omitempty" enum:"balance,rail" doc:"where the money comes from; rail: the outside payment system authorises it first, so that the answer may still be requested. balance if left out"`
	Account string `json:"account,omitempty" maxLength:"128" doc:"the payment method, in the rail's words, for source rail"`
	// For the safety rules.
	Acknowledge *acknowledgeIn `json:"acknowledge,omitempty" doc:"answers to a hold that was refused with safety_acknowledge"`
	Signals     []string       `json:"signals,omitempty" maxItems:"16" doc:"pressure that the device notices: screen_sharing, remote_control, external_call, payee_led"`
}

type paymentEditInput struct {
	Payment string  `json:"payment" maxLength:"80" doc:"payment id"`
	Version int64   `json:"version,omitempty" minimum:"1" doc:"what the edit is based on"`
	Amount  int64   `json:"amount,omitempty" minimum:"1" maximum:"999999999999" doc:"minor units; as it is if left out"`
	Memo    *string `json:"memo,omitempty" maxLength:"200" doc:"as it is if left out"`
}

type paymentAmountInput struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
	Amount  int64  `json:"amount,omitempty" minimum:"1" maximum:"999999999999" doc:"minor units; all there is if left out"`
}

type paymentCaptureInput struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
	Amount  int64  `json:"amount,omitempty" minimum:"1" maximum:"999999999999" doc:"minor units; all that can be captured if left out"`
	Final   *bool  `json:"final,omitempty" doc:"false leaves the rest on hold for captures that follow; true, or left out, gives it back"`
}

type paymentExtendInput struct {
	Payment   string `json:"payment" maxLength:"80" doc:"payment id"`
	ExpiresIn int64  `json:"expires_in" minimum:"60" maximum:"31536000" doc:"seconds from now until the hold expires; later than it does already"`
}

type paymentReduceInput struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
	Amount  int64  `json:"amount" minimum:"1" maximum:"999999999999" doc:"minor units that can still be captured afterwards"`
}

type paymentAnswerInput struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
	Text    string `json:"text" minLength:"1" maxLength:"1000" doc:"what the payee says to it"`
}

type paymentResolveInput struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
	Outcome string `json:"outcome" enum:"payer,payee" doc:"payer: the money goes back; payee: a review goes on, a dispute's reserve is released"`
}

type paymentListInput struct {
	Conversation string `json:"conversation,omitempty" maxLength:"80"`
	State        string `json:"state,omitempty" enum:"requested,held,confirming,confirmed,part_captured,captured,part_refunded,refunded,declined,expired,cancelled,voided,review,disputed"`
	Cursor       string `json:"cursor,omitempty" maxLength:"80" doc:"next of the page before"`
	Limit        int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type paymentListOutput struct {
	Items []payments.Payment `json:"items"`
	Next  string             `json:"next" doc:"cursor of the next page; empty on the last"`
}

type balancesInput struct {
	User string `json:"user,omitempty" maxLength:"64" doc:"whose; a server key names one"`
}

type balancesOutput struct {
	Items []payments.BalanceItem `json:"items"`
}

type sandboxFundInput struct {
	User     string `json:"user" minLength:"1" maxLength:"64"`
	Amount   int64  `json:"amount" minimum:"1" maximum:"999999999999" doc:"minor units"`
	Currency string `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
}

// paymentOperations are the payments' rows of the table.
func paymentOperations(s *payments.Service) []Operation {
	return append(paymentCommands(s), paymentReads(s)...)
}

// paymentRow is the row of a command on one payment: POST, moves or may move money.
func paymentRow(verb, summary, description string) Row {
	return Row{Name: "payments." + verb, Method: "POST", Path: "/v1/payments/{payment}/" + verb, Scope: "payments", Money: true,
		Summary: summary, Description: description}
}

// paymentCommand makes an operation that needs only the payment.
func paymentCommand(row Row, do func(ctx context.Context, a payments.Actor, id string) (payments.Payment, error)) Operation {
	return Op(row, func(ctx context.Context, c wire.Caller, in paymentInput) (payments.Payment, error) {
		return do(ctx, actor(c), in.Payment)
	})
}

// paymentAmountCommand makes an operation that needs the payment and perhaps an amount.
func paymentAmountCommand(row Row, do func(ctx context.Context, a payments.Actor, id string, amount int64) (payments.Payment, error)) Operation {
	return Op(row, func(ctx context.Context, c wire.Caller, in paymentAmountInput) (payments.Payment, error) {
		return do(ctx, actor(c), in.Payment, in.Amount)
	})
}

func paymentCommands(s *payments.Service) []Operation {
	resolve := paymentRow("resolve", "End a review or dispute", "In favour of the payer the money goes back; in favour of the payee a review goes on, and a dispute's reserve is released.")
	resolve.Roles = []wire.Role{wire.RoleServer, wire.RoleOperator}
	return []Operation{
		Op(Row{Name: "payments.create", Method: "POST", Path: "/v1/payments", Scope: "payments", Money: true, Status: 201,
			Summary: "Ask to be paid, or offer to pay", Description: "Makes a payment in the state `requested`. Nothing is reserved yet, and nobody's phone rings."},
			func(ctx context.Context, c wire.Caller, in paymentCreateInput) (payments.Payment, error) {
				return s.Create(ctx, actor(c), payments.CreateInput{
					Payer: in.Payer, Payee: in.Payee, Amount: in.Amount, Currency: in.Currency, Conversation: in.Conversation,
					Order: in.Order, Memo: in.Memo, ExpiresIn: time.Duration(in.ExpiresIn) * time.Second, Confirm: in.Confirm, Capture: in.Capture,
				})
			}),
		Op(paymentRow("hold", "Put the amount on hold", "Reserves the amount from the payer's balance. It comes back by itself when the hold expires."),
			func(ctx context.Context, c wire.Caller, in paymentHoldInput) (payments.Payment, error) {
				return hold(ctx, s, c, in)
			}),
		Op(paymentRow("edit", "Change amount or memo", "By the payee. Makes the next version: confirmations are void, a lower amount reduces the hold at once, a higher one waits for a new hold."),
			func(ctx context.Context, c wire.Caller, in paymentEditInput) (payments.Payment, error) {
				return s.Edit(ctx, actor(c), in.Payment, payments.EditInput{Version: in.Version, Amount: in.Amount, Memo: in.Memo})
			}),
		Op(paymentRow("capture", "Take held money", "All of it or a part; the rest goes back in the same step, unless `final` is false. A payment that needs live confirmation must be confirmed by both first."),
			func(ctx context.Context, c wire.Caller, in paymentCaptureInput) (payments.Payment, error) {
				if in.Final != nil && !*in.Final {
					return s.CapturePart(ctx, actor(c), in.Payment, in.Amount)
				}
				return s.Capture(ctx, actor(c), in.Payment, in.Amount)
			}),
		Op(paymentRow("extend", "Let a hold last longer", "By the payer or a server key, within the node's bound. Before both have confirmed live it makes the next version, because how long the offer stands is part of what they confirm."),
			func(ctx context.Context, c wire.Caller, in paymentExtendInput) (payments.Payment, error) {
				return s.Extend(ctx, actor(c), in.Payment, time.Duration(in.ExpiresIn)*time.Second)
			}),
		Op(paymentRow("reduce", "Give a part of a hold back", "By the payee or a server key: less can be captured from then on. The version stays, because it says what is agreed on at most. A payment that both have yet to confirm live is edited instead."),
			func(ctx context.Context, c wire.Caller, in paymentReduceInput) (payments.Payment, error) {
				return s.Reduce(ctx, actor(c), in.Payment, in.Amount)
			}),
		paymentAmountCommand(paymentRow("refund", "Give money back", "All that is left or a part, with its share of the fee. By the payee or a server key."), s.Refund),
		paymentCommand(paymentRow("void", "Release the hold", "By the payer or a server key; the money is available again at once."), s.Void),
		paymentDecline(s),
		paymentCommand(paymentRow("cancel", "Withdraw a request", "By the payee; held money goes back."), s.Cancel),
		paymentCommand(paymentRow("report", "Report a payment", "By the payer. Stops it for review; once captured it is disputed, and what the payee still has of it is reserved."), s.Report),
		Op(paymentRow("answer", "Answer a dispute", "By the payee, once and before `dispute.answer_by`. From then on the app has to resolve it."),
			func(ctx context.Context, c wire.Caller, in paymentAnswerInput) (payments.Payment, error) {
				return s.Answer(ctx, actor(c), in.Payment, in.Text)
			}),
		Op(resolve, func(ctx context.Context, c wire.Caller, in paymentResolveInput) (payments.Payment, error) {
			winner := payments.Payee
			if in.Outcome == "payer" {
				winner = payments.Payer
			}
			return s.Resolve(ctx, officer(c), in.Payment, winner)
		}),
		Op(Row{Name: "sandbox.fund", Method: "POST", Path: "/v1/sandbox/fund", Roles: []wire.Role{wire.RoleServer}, Scope: "sandbox", Money: true,
			Summary: "Give a user play money", Description: "Only where the sandbox rail is on."},
			func(ctx context.Context, c wire.Caller, in sandboxFundInput) (payments.BalanceItem, error) {
				return s.Fund(ctx, actor(c), payments.FundInput{User: in.User, Amount: in.Amount, Currency: in.Currency})
			}),
	}
}

func paymentReads(s *payments.Service) []Operation {
	return []Operation{
		Op(Row{Name: "payments.get", Method: "GET", Path: "/v1/payments/{payment}", Scope: "payments", Summary: "One payment"},
			func(ctx context.Context, c wire.Caller, in paymentInput) (payments.Payment, error) {
				return s.Get(ctx, actor(c), in.Payment)
			}),
		Op(Row{Name: "payments.list", Method: "GET", Path: "/v1/payments", Scope: "payments", Summary: "Payments, newest first", Description: "A user sees their own, a server key all."},
			func(ctx context.Context, c wire.Caller, in paymentListInput) (paymentListOutput, error) {
				items, next, err := s.List(ctx, actor(c), payments.Filter{
					Conversation: in.Conversation, State: payments.State(in.State), Cursor: in.Cursor, Limit: in.Limit,
				})
				return paymentListOutput{Items: items, Next: next}, err
			}),
		Op(Row{Name: "payments.sheet", Method: "GET", Path: "/v1/payments/{payment}/sheet", Scope: "payments", Summary: "What a payment sheet shows",
			Description: "Who would be paid, what the policy asks for, what the caller may do now, and what the caller could spend."},
			func(ctx context.Context, c wire.Caller, in paymentInput) (payments.Sheet, error) {
				return s.Sheet(ctx, actor(c), in.Payment)
			}),
		Op(Row{Name: "balances.get", Method: "GET", Path: "/v1/balances", Scope: "balances", Summary: "What a user has",
			Description: "One item for each currency ever used."},
			func(ctx context.Context, c wire.Caller, in balancesInput) (balancesOutput, error) {
				items, err := s.Balances(ctx, actor(c), in.User)
				return balancesOutput{Items: items}, err
			}),
	}
}
