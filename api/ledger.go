package api

import (
	"context"
	"strconv"
	"time"

	"parley/payments"
	"parley/payments/ledger"
	"parley/wire"
)

// ledgerRules maps what the ledger refuses to problems; what payments refuse as
// well has its rule there.
var ledgerRules = []Rule{
	{Is: payments.ErrReserved, Code: "ledger_reserved", Status: 403, Title: "Belongs to payments"},
	{Is: ledger.ErrBusy, Code: "ledger_busy", Status: 429, Title: "Too many transfers wait", RetryAfter: 1, Hide: true},
	{Is: ledger.ErrStopped, Code: "ledger_unavailable", Status: 503, Title: "The ledger cannot be reached", RetryAfter: 1, Hide: true},
	{Is: ledger.ErrAccountUnknown, Code: "account_unknown", Status: 404, Title: "No such account"},
	{Is: ledger.ErrUnknown, Code: "transfer_unknown", Status: 404, Title: "No such transfer"},
	{Is: ledger.ErrPendingUnknown, Code: "transfer_unknown", Status: 404, Title: "No such pending transfer"},
	{Is: ledger.ErrResolved, Code: "transfer_resolved", Status: 409, Title: "The pending transfer is posted or voided already"},
	{Is: ledger.ErrHoldExpired, Code: "transfer_expired", Status: 409, Title: "The pending transfer has expired"},
	{Is: ledger.ErrReversed, Code: "transfer_reversed", Status: 409, Title: "The transfer is reversed already"},
	{Is: ledger.ErrNotReversible, Code: "transfer_not_reversible", Status: 409, Title: "The transfer cannot be reversed"},
	{Is: ledger.ErrDuplicate, Code: "reference_used", Status: 409, Title: "The reference is used already"},
	{Is: ledger.ErrNotEmpty, Code: "account_not_empty", Status: 409, Title: "The account is not empty"},
	{Is: ledger.ErrTerms, Code: "account_terms", Status: 409, Title: "The account is open on other terms"},
	{Is: ledger.ErrShape, Code: "transfer_invalid", Status: 422, Title: "Not a transfer that could be recorded"},
}

// LedgerAccount is an account in one currency. Amounts are minor units.
type LedgerAccount struct {
	ID            string            `json:"id" example:"app:bank"`
	Currency      string            `json:"currency" doc:"ISO 4217" example:"EUR"`
	Kind          string            `json:"kind" doc:"app for the app's own; user, rail, fees and others are Parley's" example:"app"`
	MayGoNegative bool              `json:"may_go_negative"`
	Ceiling       int64             `json:"ceiling" doc:"the most it may hold; 0: no bound"`
	Closed        bool              `json:"closed"`
	Posted        int64             `json:"posted"`
	PendingOut    int64             `json:"pending_out" doc:"what pending transfers will take"`
	PendingIn     int64             `json:"pending_in" doc:"what pending transfers will bring"`
	Available     int64             `json:"available" doc:"posted less pending_out"`
	OpenedAt      time.Time         `json:"opened_at"`
	Metadata      map[string]string `json:"metadata"`
}

func ledgerAccount(p ledger.Profile) LedgerAccount {
	return LedgerAccount{ID: p.ID, Currency: p.Currency, Kind: p.Kind, MayGoNegative: p.MayGoNegative, Ceiling: p.Ceiling, Closed: p.Closed,
		Posted: p.Posted, PendingOut: p.PendingOut, PendingIn: p.PendingIn, Available: p.Available(), OpenedAt: p.OpenedAt, Metadata: p.Metadata}
}

type ledgerAccountInput struct {
	Account  string `json:"account" maxLength:"160" doc:"account id" example:"app:bank"`
	Currency string `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
}

type ledgerOpenInput struct {
	Account       string            `json:"account" maxLength:"160" doc:"app: and up to 120 letters, digits, . _ - : behind it" example:"app:bank"`
	Currency      string            `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
	MayGoNegative bool              `json:"may_go_negative,omitempty" doc:"for accounts that stand for the world outside"`
	Ceiling       int64             `json:"ceiling,omitempty" minimum:"0" maximum:"9007199254740991" doc:"the most it may hold; no bound if left out"`
	Metadata      map[string]string `json:"metadata,omitempty" doc:"up to 20 keys of the app's own"`
}

type ledgerMetadataInput struct {
	Account  string            `json:"account" maxLength:"160" doc:"account id"`
	Currency string            `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217"`
	Metadata map[string]string `json:"metadata" doc:"replaces what there is; up to 20 keys of 64 bytes, values of 500"`
}

type ledgerAccountListInput struct {
	Account  string `json:"account,omitempty" maxLength:"160" doc:"one account in all its currencies"`
	Kind     string `json:"kind,omitempty" maxLength:"32" example:"app"`
	Currency string `json:"currency,omitempty" minLength:"3" maxLength:"3"`
	Cursor   string `json:"cursor,omitempty" maxLength:"200" doc:"next of the page before"`
	Limit    int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type ledgerAccountListOutput struct {
	Items []LedgerAccount `json:"items"`
	Next  string          `json:"next" doc:"cursor of the next page; empty on the last"`
}

type ledgerBalanceInput struct {
	Account  string    `json:"account" maxLength:"160" doc:"account id"`
	Currency string    `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217"`
	AsOf     time.Time `json:"as_of,omitzero" required:"false" doc:"now if left out"`
	By       string    `json:"by,omitempty" enum:"recorded,effective" doc:"recorded (if left out): what was in the journal by then; effective: what counts from then or before, whenever it was recorded"`
}

type ledgerBalanceOutput struct {
	Account    string     `json:"account"`
	Currency   string     `json:"currency"`
	AsOf       *time.Time `json:"as_of,omitempty"`
	By         string     `json:"by" enum:"recorded,effective"`
	Posted     int64      `json:"posted" doc:"minor units"`
	PendingOut int64      `json:"pending_out" doc:"0 by effective time, which knows nothing pending"`
	PendingIn  int64      `json:"pending_in"`
	Available  int64      `json:"available"`
}

type ledgerStatementInput struct {
	Account  string    `json:"account" maxLength:"160" doc:"account id"`
	Currency string    `json:"currency" minLength:"3" maxLength:"3" doc:"ISO 4217"`
	From     time.Time `json:"from,omitzero" required:"false" doc:"recorded at or after"`
	Until    time.Time `json:"until,omitzero" required:"false" doc:"recorded before"`
	Cursor   string    `json:"cursor,omitempty" maxLength:"20" doc:"next of the page before"`
	Limit    int       `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type ledgerStatementOutput struct {
	Items []ledger.Line `json:"items"`
	Next  string        `json:"next" doc:"cursor of the next page; empty on the last"`
}

// ledgerMove is one transfer asked for.
type ledgerMove struct {
	Legs        []ledger.Posting `json:"legs" minItems:"2" maxItems:"100" doc:"sum 0 for each currency; each account once"`
	Pending     bool             `json:"pending,omitempty" doc:"only reserve; post or void it later"`
	ExpiresIn   int64            `json:"expires_in,omitempty" minimum:"1" maximum:"7776000" doc:"of a pending one: seconds until it is voided; 7 days if left out"`
	EffectiveAt time.Time        `json:"effective_at,omitzero" required:"false" doc:"when it counts; now if left out"`
	Reference   string           `json:"reference,omitempty" maxLength:"160" doc:"the app's own name for it, unique; shown with app/ before it" example:"order-17"`
	Note        string           `json:"note,omitempty" maxLength:"200"`
}

type ledgerTransferCreateInput struct {
	Transfers []ledgerMove `json:"transfers" minItems:"1" maxItems:"100" doc:"one, or several that happen all or none"`
}

type ledgerTransfersOutput struct {
	Items []ledger.Entry `json:"items"`
}

type ledgerTransferInput struct {
	Transfer string `json:"transfer" maxLength:"128" doc:"transfer id"`
}

type ledgerResolveInput struct {
	Transfer string `json:"transfer" maxLength:"128" doc:"transfer id"`
	Note     string `json:"note,omitempty" maxLength:"200"`
}

type ledgerPostInput struct {
	Transfer string           `json:"transfer" maxLength:"128" doc:"transfer id"`
	Legs     []ledger.Posting `json:"legs,omitempty" maxItems:"100" doc:"what is posted, no more than was reserved for each account; all if left out. The rest is released"`
	Note     string           `json:"note,omitempty" maxLength:"200"`
}

type ledgerTransferListInput struct {
	Account   string `json:"account,omitempty" maxLength:"160" doc:"with a leg on this account"`
	Currency  string `json:"currency,omitempty" minLength:"3" maxLength:"3" doc:"of that leg"`
	Reference string `json:"reference,omitempty" maxLength:"256" doc:"exactly; app/order-17 for the app's order-17"`
	Cursor    string `json:"cursor,omitempty" maxLength:"20" doc:"next of the page before"`
	Limit     int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type ledgerTransferListOutput struct {
	Items []ledger.Entry `json:"items"`
	Next  string         `json:"next" doc:"cursor of the next page; empty on the last"`
}

// ledgerOperations are the ledger's rows of the table.
func ledgerOperations(s *payments.Service) []Operation {
	b := s.Books()
	ops := append(ledgerAccountOperations(b), ledgerReads(b)...)
	return append(ops, ledgerTransferOperations(b)...)
}

// ledgerRow is a row for server keys on /v1/ledger.
func ledgerRow(name, method, path, summary, description string) Row {
	return Row{Name: "ledger." + name, Method: method, Path: "/v1/ledger" + path, Roles: []wire.Role{wire.RoleServer}, Scope: "ledger",
		Summary: summary, Description: description}
}

// ledgerMoney is such a row that moves money.
func ledgerMoney(name, path, summary, description string) Row {
	r := ledgerRow(name, "POST", path, summary, description)
	r.Money = true
	return r
}

func ledgerAccountOperations(b *payments.Books) []Operation {
	const one = "/accounts/{account}/{currency}"
	show := func(p ledger.Profile, err error) (LedgerAccount, error) { return ledgerAccount(p), err }
	return []Operation{
		Op(ledgerRow("accounts.open", "POST", "/accounts", "Open an account of the app",
			"Its id begins with `app:`. Opening it again on the same terms changes nothing but the metadata, if given."),
			func(ctx context.Context, c wire.Caller, in ledgerOpenInput) (LedgerAccount, error) {
				return show(b.Open(ctx, actor(c), payments.AccountInput{
					ID: in.Account, Currency: in.Currency, MayGoNegative: in.MayGoNegative, Ceiling: in.Ceiling, Metadata: in.Metadata,
				}))
			}),
		Op(byOperators(ledgerRow("accounts.list", "GET", "/accounts", "All accounts", "Parley's own as well, by id and currency.")),
			func(ctx context.Context, c wire.Caller, in ledgerAccountListInput) (ledgerAccountListOutput, error) {
				only := ledger.Selection{ID: in.Account, Kind: in.Kind, Currency: in.Currency}
				list, next, err := b.Accounts(ctx, officer(c), only, in.Cursor, orFifty(in.Limit))
				out := ledgerAccountListOutput{Items: make([]LedgerAccount, len(list)), Next: next}
				for i, p := range list {
					out.Items[i] = ledgerAccount(p)
				}
				return out, err
			}),
		Op(ledgerRow("accounts.get", "GET", one, "One account", ""),
			func(ctx context.Context, c wire.Caller, in ledgerAccountInput) (LedgerAccount, error) {
				return show(b.Account(ctx, actor(c), in.Account, in.Currency))
			}),
		Op(ledgerRow("accounts.close", "POST", one+"/close", "Close an account of the app", "It must be empty, and stays closed for ever."),
			func(ctx context.Context, c wire.Caller, in ledgerAccountInput) (LedgerAccount, error) {
				return show(b.Close(ctx, actor(c), in.Account, in.Currency))
			}),
		Op(ledgerRow("accounts.metadata", "PUT", one+"/metadata", "Write the app's own data to an account", "Of any account, since it moves no money. The journal keeps every change."),
			func(ctx context.Context, c wire.Caller, in ledgerMetadataInput) (LedgerAccount, error) {
				return show(b.SetMetadata(ctx, actor(c), in.Account, in.Currency, in.Metadata))
			}),
	}
}

func ledgerReads(b *payments.Books) []Operation {
	const one = "/accounts/{account}/{currency}"
	return []Operation{
		Op(ledgerRow("balance", "GET", one+"/balance", "What an account has, or had", ""),
			func(ctx context.Context, c wire.Caller, in ledgerBalanceInput) (ledgerBalanceOutput, error) {
				return ledgerBalance(ctx, b, actor(c), in)
			}),
		Op(ledgerRow("statement", "GET", one+"/statement", "What happened on an account", "Newest first, with the balance after each line. Lines of kind `pending` have not changed it."),
			func(ctx context.Context, c wire.Caller, in ledgerStatementInput) (ledgerStatementOutput, error) {
				before, err := seqCursor(in.Cursor)
				if err != nil {
					return ledgerStatementOutput{}, err
				}
				limit := orFifty(in.Limit)
				lines, err := b.Statement(ctx, actor(c), in.Account, in.Currency, ledger.Period{From: in.From, Until: in.Until}, before, limit)
				out := ledgerStatementOutput{Items: lines}
				if len(lines) == limit {
					out.Next = strconv.FormatInt(lines[limit-1].Seq, 10)
				}
				return out, err
			}),
	}
}

func ledgerBalance(ctx context.Context, b *payments.Books, a payments.Actor, in ledgerBalanceInput) (ledgerBalanceOutput, error) {
	out := ledgerBalanceOutput{Account: in.Account, Currency: in.Currency, By: "recorded"}
	if in.By != "" {
		out.By = in.By
	}
	if in.AsOf.IsZero() && out.By == "recorded" {
		p, err := b.Account(ctx, a, in.Account, in.Currency)
		out.Posted, out.PendingOut, out.PendingIn, out.Available = p.Posted, p.PendingOut, p.PendingIn, p.Available()
		return out, err
	}
	at := in.AsOf
	if at.IsZero() {
		at = b.Now()
	}
	p, err := b.BalanceAt(ctx, a, in.Account, in.Currency, at, out.By == "effective")
	out.AsOf, out.Posted, out.PendingOut, out.PendingIn, out.Available = &at, p.Posted, p.PendingOut, p.PendingIn, p.Posted-p.PendingOut
	return out, err
}

func ledgerTransferOperations(b *payments.Books) []Operation {
	create := ledgerMoney("transfers.create", "/transfers", "Move money between accounts",
		"One transfer, or several that happen all or none, between the app's own accounts and `user:<id>:available`. What payments hold, reserve or owe to rails is theirs alone.")
	create.Status = 201
	return []Operation{
		Op(create, func(ctx context.Context, c wire.Caller, in ledgerTransferCreateInput) (ledgerTransfersOutput, error) {
			moves := make([]payments.Movement, len(in.Transfers))
			for i, m := range in.Transfers {
				moves[i] = payments.Movement{Legs: m.Legs, Pending: m.Pending, ExpiresIn: time.Duration(m.ExpiresIn) * time.Second,
					EffectiveAt: m.EffectiveAt, Reference: m.Reference, Note: m.Note}
			}
			items, err := b.Move(ctx, actor(c), moves)
			return ledgerTransfersOutput{Items: items}, err
		}),
		Op(ledgerRow("transfers.list", "GET", "/transfers", "Transfers, newest first", "Those of payments as well."),
			func(ctx context.Context, c wire.Caller, in ledgerTransferListInput) (ledgerTransferListOutput, error) {
				before, err := seqCursor(in.Cursor)
				if err != nil {
					return ledgerTransferListOutput{}, err
				}
				limit := orFifty(in.Limit)
				items, err := b.Transfers(ctx, actor(c), ledger.Query{Account: in.Account, Currency: in.Currency, Reference: in.Reference, Before: before, Limit: limit})
				out := ledgerTransferListOutput{Items: items}
				if len(items) == limit {
					out.Next = strconv.FormatInt(items[limit-1].Seq, 10)
				}
				return out, err
			}),
		Op(ledgerRow("transfers.get", "GET", "/transfers/{transfer}", "One transfer", ""),
			func(ctx context.Context, c wire.Caller, in ledgerTransferInput) (ledger.Entry, error) {
				return b.Transfer(ctx, actor(c), in.Transfer)
			}),
		Op(ledgerMoney("transfers.post", "/transfers/{transfer}/post", "Post a pending transfer", "In full or in part; the rest is released. The app's own only."),
			func(ctx context.Context, c wire.Caller, in ledgerPostInput) (ledger.Entry, error) {
				return b.Post(ctx, actor(c), payments.Resolution{Transfer: in.Transfer, Legs: in.Legs, Note: in.Note})
			}),
		Op(ledgerMoney("transfers.void", "/transfers/{transfer}/void", "Release a pending transfer", "The app's own only."),
			func(ctx context.Context, c wire.Caller, in ledgerResolveInput) (ledger.Entry, error) {
				return b.Void(ctx, actor(c), payments.Resolution{Transfer: in.Transfer, Note: in.Note})
			}),
		Op(ledgerMoney("transfers.reverse", "/transfers/{transfer}/reverse", "Take a transfer back",
			"A new transfer with the opposite legs, at most once. The app's own only; payments are refunded instead."),
			func(ctx context.Context, c wire.Caller, in ledgerResolveInput) (ledger.Entry, error) {
				return b.Reverse(ctx, actor(c), payments.Resolution{Transfer: in.Transfer, Note: in.Note})
			}),
	}
}

func orFifty(limit int) int {
	if limit == 0 {
		return 50
	}
	return limit
}

// seqCursor reads a cursor that is a place in the journal.
func seqCursor(cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 1 {
		return 0, fieldProblem("cursor", "expected the next of the page before")
	}
	return n, nil
}
