package payments

import (
	"context"
	"fmt"
	"strings"

	"parley/internal/sqldb"
)

// Get returns a payment to one of its parties or a server key.
func (s *Service) Get(ctx context.Context, a Actor, id string) (Payment, error) {
	in, err := s.Intent(ctx, a, id)
	return view(in), err
}

// Intent returns a payment with all that is known of it, to one of its parties or a server key.
func (s *Service) Intent(ctx context.Context, a Actor, id string) (Intent, error) {
	var at stored
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		at, err = load(tx, id)
		return err
	})
	if err != nil {
		return Intent{}, err
	}
	if _, err := at.partyOf(a); err != nil {
		return Intent{}, err
	}
	return at.Intent, nil
}

// IntentTx reads a payment in the caller's transaction, locked until its end.
// It asks nobody's permission.
func (s *Service) IntentTx(tx *sqldb.Tx, id string) (Intent, error) {
	at, err := loadForUpdate(tx, id)
	return at.Intent, err
}

// Filter of List; empty fields match all.
type Filter struct {
	Conversation string
	State        State
	// Cursor of the previous page; Limit 1 to 100, 0 means 50.
	Cursor string
	Limit  int
}

// List returns payments, newest first, and the cursor of the next page or "".
// A user sees their own, a server key all.
func (s *Service) List(ctx context.Context, a Actor, f Filter) ([]Payment, string, error) {
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 50
	}
	query, args := listQuery(a, f)
	payments := []Payment{}
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return fmt.Errorf("payments: list: %w", err)
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			at, err := scanIntent(rows)
			if err != nil {
				return fmt.Errorf("payments: list: %w", err)
			}
			payments = append(payments, view(at.Intent))
		}
		return rows.Err()
	})
	next := ""
	if err == nil && len(payments) > f.Limit {
		payments = payments[:f.Limit]
		next = payments[f.Limit-1].ID
	}
	return payments, next, err
}

// listQuery asks for one more than the limit. Its texts are few: one for each
// combination of conditions.
func listQuery(a Actor, f Filter) (string, []any) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if !a.Server {
		add("(payer = ? OR payee = ?)", a.User, a.User)
	}
	if f.Conversation != "" {
		add("conversation <> '' AND conversation = ?", f.Conversation)
	}
	if f.State != "" {
		add("state = ?", string(f.State))
	}
	if f.Cursor != "" {
		add("id < ?", f.Cursor)
	}
	query := "SELECT " + intentColumns + " FROM payments_intents"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	return query + " ORDER BY id DESC LIMIT ?", append(args, f.Limit+1)
}

// Sheet is what the payment sheet of a party shows.
type Sheet struct {
	Payment Payment      `json:"payment"`
	Payee   SheetPayee   `json:"payee"`
	Policy  Decision     `json:"policy"`
	Actions []string     `json:"actions" doc:"what the one who asks may do now, in the order to offer it"`
	Balance SheetBalance `json:"balance"`
}

// SheetPayee says who would get the money.
type SheetPayee struct {
	ShownName      string `json:"shown_name"`
	NameCheck      string `json:"name_check" enum:"match,close,none,unavailable"`
	AccountAgeDays int    `json:"account_age_days"`
	Relation       string `json:"relation" enum:"first_payment,known"`
}

// SheetBalance is what the one who asks could spend.
type SheetBalance struct {
	Available int64  `json:"available"`
	Currency  string `json:"currency"`
}

// Sheet returns the payment sheet for a party or a server key.
func (s *Service) Sheet(ctx context.Context, a Actor, id string) (Sheet, error) {
	in, err := s.Intent(ctx, a, id)
	if err != nil {
		return Sheet{}, err
	}
	payee, err := s.d.Names.Person(ctx, in.Payee)
	if err != nil {
		return Sheet{}, err
	}
	relation, err := s.relation(ctx, in.Payer, in.Payee)
	if err != nil {
		return Sheet{}, err
	}
	decision, err := s.policyOf(ctx, a, in, payee)
	if err != nil {
		return Sheet{}, err
	}
	sheet := Sheet{
		Payment: view(in), Policy: decision, Actions: in.actions(a, payee.NameCheck),
		Payee:   SheetPayee{ShownName: in.PayeeName, NameCheck: payee.NameCheck, AccountAgeDays: payee.AccountAgeDays, Relation: relation},
		Balance: SheetBalance{Currency: in.Currency},
	}
	if decision.Action == "deny" && a.User == in.Payer && in.State == Requested {
		sheet.Actions = []string{"report", "decline"}
	}
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		sheet.Balance.Available, err = availableOf(tx, availableAccount(a.User), in.Currency)
		return err
	})
	return sheet, err
}

// actions lists what to offer. A payee whose name does not match is not to be
// called and paid; reporting comes first then.
func (in *Intent) actions(a Actor, nameCheck string) []string {
	offers := payeeActions
	if a.User == in.Payer {
		if offers = payerActions; in.Confirm == ConfirmNone {
			offers = plainPayerActions
		}
	}
	actions := offers[in.State]
	if nameCheck == "none" && a.User == in.Payer && in.State == Requested {
		actions = []string{"report", "decline"}
	}
	return append([]string{}, actions...)
}

var (
	payerActions = map[State][]string{
		Requested: {"call_and_pay", "decline", "report"},
		Held:      {"call_and_pay", "void", "report"}, Confirming: {"call_and_pay", "void", "report"},
		Confirmed: {"capture", "void", "report"}, PartCaptured: {"capture", "void", "report"},
		InReview: {"void"}, Captured: {"report"}, PartRefunded: {"report"},
	}
	plainPayerActions = map[State][]string{
		Requested: {"hold", "decline", "report"}, Held: {"capture", "void", "report"}, PartCaptured: {"capture", "void", "report"},
		InReview: {"void"}, Captured: {"report"}, PartRefunded: {"report"},
	}
	payeeActions = map[State][]string{
		Requested: {"edit", "cancel"}, Held: {"edit", "cancel"}, Confirming: {"edit", "cancel"},
		Confirmed: {"reduce", "cancel"}, PartCaptured: {"reduce", "cancel", "refund"}, Disputed: {"answer", "refund"},
		InReview: {"cancel"}, Captured: {"refund"}, PartRefunded: {"refund"},
	}
)
