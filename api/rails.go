package api

import (
	"context"

	"parley/payments"
	"parley/wire"
)

// railRules maps what payouts and top-ups refuse to problems.
var railRules = []Rule{
	{Is: payments.ErrOrderUnknown, Code: "transfer_unknown", Status: 404, Title: "No such payout or top-up"},
	{Is: payments.ErrNameMismatch, Code: "payout_name_mismatch", Status: 409, Title: "The account's holder has another name"},
}

type payoutCreateInput struct {
	User        string `json:"user,omitempty" maxLength:"64" doc:"whose balance; a server key names one"`
	Amount      int64  `json:"amount" minimum:"1" maximum:"999999999999" doc:"minor units" example:"4000"`
	Currency    string `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
	Destination string `json:"destination" minLength:"1" maxLength:"128" doc:"the account to pay to, in the rail's words" example:"sandbox:iban"`
	Holder      string `json:"holder,omitempty" maxLength:"140" doc:"name the account should belong to; it is checked where the rail can"`
	AcceptName  bool   `json:"accept_name,omitempty" doc:"go on although the name does not match"`
}

type payoutCheckInput struct {
	Destination string `json:"destination" minLength:"1" maxLength:"128" doc:"the account, in the rail's words"`
	Holder      string `json:"holder" minLength:"1" maxLength:"140" doc:"name the account should belong to"`
}

type payoutCheckOutput struct {
	NameCheck payments.NameMatch `json:"name_check" enum:"match,close_match,no_match,unavailable"`
	Name      string             `json:"name,omitempty" doc:"the registered name, for a close match only"`
}

type payoutInput struct {
	Payout string `json:"payout" maxLength:"80" doc:"payout id"`
}

type topUpInput struct {
	TopUp string `json:"topup" maxLength:"80" doc:"top-up id"`
}

type topUpCreateInput struct {
	User     string `json:"user" minLength:"1" maxLength:"64"`
	Amount   int64  `json:"amount" minimum:"1" maximum:"999999999999" doc:"minor units"`
	Currency string `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
	Account  string `json:"account,omitempty" maxLength:"128" doc:"the user's payment method, in the rail's words"`
}

type transferListInput struct {
	User   string `json:"user,omitempty" maxLength:"64" doc:"whose; a server key may leave it out for all"`
	State  string `json:"state,omitempty" enum:"queued,sent,pending,unknown,done,refused,returned"`
	Cursor string `json:"cursor,omitempty" maxLength:"80" doc:"next of the page before"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type transferListOutput struct {
	Items []payments.Transfer `json:"items"`
	Next  string              `json:"next" doc:"cursor of the next page; empty on the last"`
}

// railOperations are the rows of what goes through a rail.
func railOperations(s *payments.Service) []Operation {
	return []Operation{
		Op(Row{Name: "payouts.create", Method: "POST", Path: "/v1/payouts", Scope: "payouts", Money: true, Status: 201,
			Summary: "Pay a balance out", Description: "Takes the amount from the balance at once and has the rail pay it to the destination. What the rail refuses goes back. " +
				"The outcome comes as `payout.updated` in the user's own conversation."},
			func(ctx context.Context, c wire.Caller, in payoutCreateInput) (payments.Transfer, error) {
				return s.Payout(ctx, actor(c), payments.PayoutInput{User: in.User, Amount: in.Amount, Currency: in.Currency,
					Destination: in.Destination, Holder: in.Holder, AcceptName: in.AcceptName})
			}),
		Op(Row{Name: "payouts.check", Method: "POST", Path: "/v1/payouts/check", Scope: "payouts", Summary: "Does this account belong to this name?",
			Description: "Confirmation of Payee. The registered name is told for a close match only."},
			func(ctx context.Context, _ wire.Caller, in payoutCheckInput) (payoutCheckOutput, error) {
				match, name, err := s.CheckName(ctx, in.Destination, in.Holder)
				return payoutCheckOutput{NameCheck: match, Name: name}, err
			}),
		Op(Row{Name: "payouts.get", Method: "GET", Path: "/v1/payouts/{payout}", Scope: "payouts", Summary: "One payout"},
			func(ctx context.Context, c wire.Caller, in payoutInput) (payments.Transfer, error) {
				return s.GetTransfer(ctx, actor(c), payments.RailPayout, in.Payout)
			}),
		Op(Row{Name: "payouts.list", Method: "GET", Path: "/v1/payouts", Scope: "payouts", Summary: "Payouts, newest first", Description: "A user sees their own, a server key all."},
			listTransfers(s, payments.RailPayout)),
		Op(Row{Name: "topups.create", Method: "POST", Path: "/v1/topups", Roles: []wire.Role{wire.RoleServer}, Scope: "topups", Money: true, Status: 201,
			Summary: "Bring money in for a user", Description: "Has the rail take the amount from the user's payment method. The money is in the balance when the top-up is done; " +
				"the outcome comes as `topup.updated` in the user's own conversation."},
			func(ctx context.Context, c wire.Caller, in topUpCreateInput) (payments.Transfer, error) {
				return s.TopUp(ctx, actor(c), payments.FundInput{User: in.User, Amount: in.Amount, Currency: in.Currency, Account: in.Account})
			}),
		Op(Row{Name: "topups.get", Method: "GET", Path: "/v1/topups/{topup}", Scope: "topups", Summary: "One top-up"},
			func(ctx context.Context, c wire.Caller, in topUpInput) (payments.Transfer, error) {
				return s.GetTransfer(ctx, actor(c), payments.RailFund, in.TopUp)
			}),
		Op(Row{Name: "topups.list", Method: "GET", Path: "/v1/topups", Scope: "topups", Summary: "Top-ups, newest first", Description: "A user sees their own, a server key all."},
			listTransfers(s, payments.RailFund)),
	}
}

func listTransfers(s *payments.Service, kind payments.RailAction) func(ctx context.Context, c wire.Caller, in transferListInput) (transferListOutput, error) {
	return func(ctx context.Context, c wire.Caller, in transferListInput) (transferListOutput, error) {
		items, next, err := s.ListTransfers(ctx, actor(c), payments.TransferFilter{
			Kind: kind, User: in.User, State: payments.OrderState(in.State), Cursor: in.Cursor, Limit: in.Limit,
		})
		return transferListOutput{Items: items, Next: next}, err
	}
}
