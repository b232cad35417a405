package api

import (
	"context"
	"time"

	"parley/payments"
	"parley/wire"
)

// requestRules maps what requests to pay, links and requests to several people
// refuse to problems.
var requestRules = []Rule{
	{Is: payments.ErrNoRelation, Code: "no_relation", Status: 403, Title: "The other person does not know you"},
	{Is: payments.ErrRequestLimited, Code: "request_limited", Status: 429, Title: "Too many requests to pay"},
	{Is: payments.ErrRequestsStopped, Code: "requests_stopped", Status: 403, Title: "Requests are stopped until they are reviewed"},
	{Is: payments.ErrMemo, Code: "memo_refused", Status: 422, Title: "Text not accepted in a first request"},
	{Is: payments.ErrLinkUnknown, Code: "link_unknown", Status: 404, Title: "No such payment link"},
	{Is: payments.ErrLinkUsed, Code: "link_used", Status: 409, Title: "The payment link is used up"},
	{Is: payments.ErrLinkClosed, Code: "link_closed", Status: 409, Title: "The payment link takes no payment"},
	{Is: payments.ErrRequestUnknown, Code: "request_unknown", Status: 404, Title: "No such request"},
}

type paymentDeclineInput struct {
	Payment string `json:"payment" maxLength:"80" doc:"payment id"`
	Reason  string `json:"reason,omitempty" enum:"not_mine,wrong_amount,already_paid,unknown_sender,not_now,other" doc:"a code, so that a no carries no text between strangers"`
}

type linkCreateInput struct {
	Payee     string `json:"payee,omitempty" maxLength:"64" doc:"who is paid; a server key names one"`
	Amount    int64  `json:"amount,omitempty" minimum:"1" maximum:"999999999999" doc:"minor units; left out: the payer says how much"`
	AmountMin int64  `json:"amount_min,omitempty" minimum:"1" maximum:"999999999999" doc:"least of an open amount"`
	AmountMax int64  `json:"amount_max,omitempty" minimum:"1" maximum:"999999999999" doc:"most of an open amount"`
	Currency  string `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
	Memo      string `json:"memo,omitempty" maxLength:"200" example:"Summer party"`
	Order     string `json:"order,omitempty" maxLength:"64" doc:"the app's own reference"`
	Uses      *int64 `json:"uses,omitempty" minimum:"0" maximum:"1000000" doc:"how many payments it takes; 0: any number; 1 if left out"`
	ExpiresIn int64  `json:"expires_in,omitempty" minimum:"60" maximum:"31622400" doc:"seconds until it takes no payment any more; 30 days if left out"`
	Confirm   string `json:"confirm,omitempty" enum:"live,none" doc:"none only with a server key; the policy decides if left out"`
}

type linkInput struct {
	Link string `json:"link" maxLength:"80" doc:"link id"`
}

type linkPayInput struct {
	Link   string `json:"link" maxLength:"80" doc:"link id"`
	Amount int64  `json:"amount,omitempty" minimum:"1" maximum:"999999999999" doc:"minor units; needed where the amount is open, otherwise refused unless it is the link's"`
}

type linkListInput struct {
	Payee  string `json:"payee,omitempty" maxLength:"64" doc:"whose; server keys only"`
	Cursor string `json:"cursor,omitempty" maxLength:"80" doc:"next of the page before"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type linkListOutput struct {
	Items []payments.Link `json:"items"`
	Next  string          `json:"next" doc:"cursor of the next page; empty on the last"`
}

type requestShare struct {
	User   string `json:"user" minLength:"1" maxLength:"64"`
	Amount int64  `json:"amount,omitempty" minimum:"1" maximum:"999999999999" doc:"minor units; left out where the whole is split"`
}

type requestCreateInput struct {
	Payee        string         `json:"payee,omitempty" maxLength:"64" doc:"who is paid; a server key names one"`
	Payers       []requestShare `json:"payers" minItems:"2" maxItems:"50"`
	Split        string         `json:"split,omitempty" enum:"equal" doc:"equal: everyone the same; units that are left go one each to those whose ids come first in byte order"`
	Amount       int64          `json:"amount,omitempty" minimum:"1" maximum:"999999999999" doc:"total in minor units; needed to split it, otherwise the sum of the shares"`
	Currency     string         `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
	Memo         string         `json:"memo,omitempty" maxLength:"200" example:"Dinner"`
	Conversation string         `json:"conversation,omitempty" maxLength:"80" doc:"that payee and payers share; its log shows the request, and its members who was asked and the total"`
	ExpiresIn    int64          `json:"expires_in,omitempty" minimum:"60" maximum:"7776000" doc:"seconds until the shares expire; a day if left out"`
}

type requestInput struct {
	Request string `json:"request" maxLength:"80" doc:"request id"`
}

type requestListInput struct {
	Cursor string `json:"cursor,omitempty" maxLength:"80" doc:"next of the page before"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type requestListOutput struct {
	Items []payments.GroupRequest `json:"items"`
	Next  string                  `json:"next" doc:"cursor of the next page; empty on the last"`
}

type requestReviewInput struct {
	User  string `json:"user" minLength:"1" maxLength:"64"`
	Clear bool   `json:"clear,omitempty" doc:"the reports count no more, and the user may ask again"`
}

// requestOperations are about asking people for money.
func requestOperations(s *payments.Service) []Operation {
	return append(linkOperations(s), groupOperations(s)...)
}

// paymentDecline is the row of a no.
func paymentDecline(s *payments.Service) Operation {
	return Op(paymentRow("decline", "Decline a request", "By the payer. For a while the payee cannot ask again."),
		func(ctx context.Context, c wire.Caller, in paymentDeclineInput) (payments.Payment, error) {
			return s.DeclineFor(ctx, actor(c), in.Payment, in.Reason)
		})
}

func linkOperations(s *payments.Service) []Operation {
	const scope = "links"
	return []Operation{
		Op(Row{Name: "links.create", Method: "POST", Path: "/v1/links", Scope: scope, Money: true, Status: 201, Summary: "Make a payment link",
			Description: "Whoever opens its `url` can pay, without being asked first. By the payee or a server key."},
			func(ctx context.Context, c wire.Caller, in linkCreateInput) (payments.Link, error) {
				return s.CreateLink(ctx, actor(c), payments.LinkInput{
					Payee: in.Payee, Amount: in.Amount, Min: in.AmountMin, Max: in.AmountMax, Currency: in.Currency, Memo: in.Memo, Order: in.Order,
					Uses: in.Uses, ExpiresIn: time.Duration(in.ExpiresIn) * time.Second, Confirm: in.Confirm,
				})
			}),
		Op(Row{Name: "links.get", Method: "GET", Path: "/v1/links/{link}", Scope: scope, Summary: "One payment link",
			Description: "For everybody who has its id. Only the payee and server keys see how often it was used."},
			func(ctx context.Context, c wire.Caller, in linkInput) (payments.Link, error) {
				return s.GetLink(ctx, actor(c), in.Link)
			}),
		Op(Row{Name: "links.list", Method: "GET", Path: "/v1/links", Scope: scope, Summary: "Payment links, newest first", Description: "A user sees their own, a server key all."},
			func(ctx context.Context, c wire.Caller, in linkListInput) (linkListOutput, error) {
				items, next, err := s.ListLinks(ctx, actor(c), in.Payee, in.Cursor, in.Limit)
				return linkListOutput{Items: orEmpty(items), Next: next}, err
			}),
		Op(Row{Name: "links.pay", Method: "POST", Path: "/v1/links/{link}/pay", Scope: scope, Money: true, Status: 201, Summary: "Pay through a link",
			Description: "Makes the payment in the state `requested`, with the caller as payer; hold and confirm it like any other. A use comes back when that payment ends without money having moved."},
			func(ctx context.Context, c wire.Caller, in linkPayInput) (payments.Payment, error) {
				return s.PayLink(ctx, actor(c), in.Link, in.Amount)
			}),
		Op(Row{Name: "links.cancel", Method: "POST", Path: "/v1/links/{link}/cancel", Scope: scope, Money: true, Summary: "Close a payment link",
			Description: "By the payee or a server key. Payments made through it go on."},
			func(ctx context.Context, c wire.Caller, in linkInput) (payments.Link, error) {
				return s.CancelLink(ctx, actor(c), in.Link)
			}),
	}
}

func groupOperations(s *payments.Service) []Operation {
	const scope = "requests"
	return []Operation{
		Op(Row{Name: "requests.create", Method: "POST", Path: "/v1/requests", Scope: scope, Money: true, Status: 201, Summary: "Ask several people",
			Description: "Makes one payment for each payer, all or none, and adds them up. Each counts for relations and limits like a request of its own; a payer sees the own share, and of the others who they are only in a conversation of all."},
			func(ctx context.Context, c wire.Caller, in requestCreateInput) (payments.GroupRequest, error) {
				shares := make([]payments.Share, len(in.Payers))
				for i, p := range in.Payers {
					shares[i] = payments.Share{Payer: p.User, Amount: p.Amount}
				}
				return s.CreateGroup(ctx, actor(c), payments.GroupInput{
					Payee: in.Payee, Shares: shares, Split: in.Split, Amount: in.Amount, Currency: in.Currency, Memo: in.Memo,
					Conversation: in.Conversation, ExpiresIn: time.Duration(in.ExpiresIn) * time.Second,
				})
			}),
		Op(Row{Name: "requests.get", Method: "GET", Path: "/v1/requests/{request}", Scope: scope, Summary: "One request to several people"},
			func(ctx context.Context, c wire.Caller, in requestInput) (payments.GroupRequest, error) {
				return s.GetGroup(ctx, actor(c), in.Request)
			}),
		Op(Row{Name: "requests.list", Method: "GET", Path: "/v1/requests", Scope: scope, Summary: "Requests to several people, newest first",
			Description: "A user sees those they made or are asked by, a server key all."},
			func(ctx context.Context, c wire.Caller, in requestListInput) (requestListOutput, error) {
				items, next, err := s.ListGroups(ctx, actor(c), in.Cursor, in.Limit)
				return requestListOutput{Items: orEmpty(items), Next: next}, err
			}),
		Op(Row{Name: "requests.cancel", Method: "POST", Path: "/v1/requests/{request}/cancel", Scope: scope, Money: true, Summary: "Withdraw a request to several people",
			Description: "By the payee or a server key. Shares not paid yet are cancelled, and what is held for them goes back; paid ones stay."},
			func(ctx context.Context, c wire.Caller, in requestInput) (payments.GroupRequest, error) {
				return s.CancelGroup(ctx, actor(c), in.Request)
			}),
		Op(paymentRow("remind", "Remind the payer of a request", "By the payee or a server key, once a day."),
			func(ctx context.Context, c wire.Caller, in paymentInput) (payments.Payment, error) {
				return s.Remind(ctx, actor(c), in.Payment)
			}),
		Op(Row{Name: "requests.review", Method: "POST", Path: "/v1/users/{user}/requests/review", Scope: scope, Roles: []wire.Role{wire.RoleServer},
			Summary: "Review a user whose requests were reported", Description: "Tells how many people reported requests of the user; with `clear` the reports count no more."},
			func(ctx context.Context, c wire.Caller, in requestReviewInput) (payments.AskingReview, error) {
				return s.ReviewAsking(ctx, actor(c), in.User, in.Clear)
			}),
	}
}
