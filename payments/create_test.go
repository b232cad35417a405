package payments_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// directory knows two people; "stranger" has a name that does not match.
type directory struct{}

func (directory) Person(_ context.Context, user string) (payments.Person, error) {
	switch user {
	case "buyer":
		return payments.Person{Shown: "A. Buyer", NameCheck: "match", AccountAgeDays: 30}, nil
	case "seller":
		return payments.Person{Shown: "V. Seller", NameCheck: "match", AccountAgeDays: 212}, nil
	case "stranger":
		return payments.Person{Shown: "", NameCheck: "none"}, nil
	}
	return payments.Person{}, payments.ErrPartyUnknown
}

// room is a conversation between buyer and seller.
type room struct{}

func (room) CheckParties(_ context.Context, conversation, payer, payee string) error {
	if conversation != "conv_1" || !slices.Contains([]string{"buyer", "seller"}, payer) || !slices.Contains([]string{"buyer", "seller"}, payee) {
		return payments.ErrConversation
	}
	return nil
}

func peopled(t *testing.T) *world {
	w := newWorld(t, sqldbtest.Open(t, schemas()), payments.Config{}, func(d *payments.Deps) { d.Names, d.Rooms = directory{}, room{} })
	w.fund("buyer", 50_000)
	return w
}

func TestCreate_WhoPaysWhom(t *testing.T) {
	w := peopled(t)
	for _, c := range []struct {
		name         string
		by           string
		in           payments.CreateInput
		payer, payee string
		want         error
	}{
		{"user asks to be paid", "seller", payments.CreateInput{Payer: "buyer"}, "buyer", "seller", nil},
		{"user offers to pay", "buyer", payments.CreateInput{Payee: "seller"}, "buyer", "seller", nil},
		{"user names both", "buyer", payments.CreateInput{Payer: "seller", Payee: "buyer"}, "seller", "buyer", nil},
		{"user names others", "buyer", payments.CreateInput{Payer: "seller", Payee: "stranger"}, "", "", payments.ErrNotParty},
		{"user names nobody", "buyer", payments.CreateInput{}, "", "", payments.ErrInput},
		{"user pays themselves", "buyer", payments.CreateInput{Payer: "buyer", Payee: "buyer"}, "", "", payments.ErrSelf},
		{"user skips live", "buyer", payments.CreateInput{Payee: "seller", Confirm: payments.ConfirmNone}, "", "", payments.ErrNotParty},
		{"server names both", "server", payments.CreateInput{Payer: "buyer", Payee: "seller", Confirm: payments.ConfirmNone}, "buyer", "seller", nil},
		{"server names one", "server", payments.CreateInput{Payer: "buyer"}, "", "", payments.ErrInput},
		{"unknown payer", "seller", payments.CreateInput{Payer: "ghost"}, "", "", payments.ErrPartyUnknown},
		{"conversation of both", "seller", payments.CreateInput{Payer: "buyer", Conversation: "conv_1"}, "buyer", "seller", nil},
		{"conversation of others", "seller", payments.CreateInput{Payer: "buyer", Conversation: "conv_2"}, "", "", payments.ErrConversation},
		{"card number in the memo", "seller", payments.CreateInput{Payer: "buyer", Memo: "my card 4111 1111-1111 1111 thanks"}, "", "", payments.ErrSensitive},
		{"card number in the order", "seller", payments.CreateInput{Payer: "buyer", Order: "4111 1111-1111 1111"}, "", "", payments.ErrSensitive},
		{"memo too long", "seller", payments.CreateInput{Payer: "buyer", Memo: fmt.Sprintf("%201s", "x")}, "", "", payments.ErrInput},
		{"control character", "seller", payments.CreateInput{Payer: "buyer", Order: "a\nb"}, "", "", payments.ErrInput},
		{"expires at once", "seller", payments.CreateInput{Payer: "buyer", ExpiresIn: time.Second}, "", "", payments.ErrInput},
	} {
		c.in.Amount, c.in.Currency = 1_000, "EUR"
		p, err := w.Create(t.Context(), w.as(c.by), c.in)
		wantErr(t, err, c.want)
		if c.want == nil && (p.Payer != c.payer || p.Payee != c.payee || p.State != payments.Requested || len(p.Digest) != 64) {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

func TestSheet_ShowsWhoAndWhatToDo(t *testing.T) {
	w := peopled(t)
	p := w.request(12_000, "")
	sheet := func(by, id string) payments.Sheet {
		t.Helper()
		s, err := w.Sheet(t.Context(), payments.Actor{User: by}, id)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := sheet("buyer", p.ID)
	if s.Payee != (payments.SheetPayee{ShownName: "V. Seller", NameCheck: "match", AccountAgeDays: 212, Relation: payments.RelationFirst}) {
		t.Errorf("payee %+v", s.Payee)
	}
	if !slices.Equal(s.Policy.What, []string{"live_confirmation"}) || !slices.Equal(s.Actions, []string{"call_and_pay", "decline", "report"}) || s.Balance.Available != 50_000 {
		t.Errorf("%+v", s)
	}
	if s := sheet("seller", p.ID); !slices.Equal(s.Actions, []string{"edit", "cancel"}) || s.Balance.Available != 0 {
		t.Errorf("the payee's: %+v", s)
	}
	w.captured(500)
	if s := sheet("buyer", p.ID); s.Payee.Relation != payments.RelationKnown {
		t.Errorf("after a payment: %+v", s.Payee)
	}
	dubious := w.must(w.Create(t.Context(), w.as("stranger"), payments.CreateInput{Payer: "buyer", Amount: 500, Currency: "EUR"}))
	if s := sheet("buyer", dubious.ID); !slices.Equal(s.Actions, []string{"report", "decline"}) {
		t.Errorf("name does not match, but offers %v", s.Actions)
	}
	_, err := w.Sheet(t.Context(), payments.Actor{User: "stranger"}, p.ID)
	wantErr(t, err, payments.ErrNotParty)
	_, err = w.Sheet(t.Context(), payments.Actor{User: "buyer"}, "pay_none")
	wantErr(t, err, payments.ErrUnknown)
}

func TestList_PagesNewestFirstAndShowsOnlyOnesOwn(t *testing.T) {
	w := peopled(t)
	var want []string
	for i := range 5 {
		p := w.must(w.Create(t.Context(), w.as("seller"), payments.CreateInput{Payer: "buyer", Amount: int64(100 + i), Currency: "EUR", Conversation: "conv_1"}))
		want = append(want, p.ID)
		w.clock.Advance(time.Second)
	}
	slices.Reverse(want)
	w.must(w.Create(t.Context(), w.as("stranger"), payments.CreateInput{Payer: "buyer", Amount: 7, Currency: "EUR"}))
	w.must(w.Decline(t.Context(), w.as("buyer"), want[1]))

	var got []string
	cursor := ""
	for {
		page, next, err := w.List(t.Context(), payments.Actor{User: "seller"}, payments.Filter{Limit: 2, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			got = append(got, p.ID)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the seller sees %v, want %v", got, want)
	}
	count := func(a payments.Actor, f payments.Filter) int {
		t.Helper()
		page, _, err := w.List(t.Context(), a, f)
		if err != nil {
			t.Fatal(err)
		}
		return len(page)
	}
	if n := count(server, payments.Filter{}); n != 6 {
		t.Errorf("a server key sees %d", n)
	}
	if n := count(payments.Actor{User: "buyer"}, payments.Filter{Conversation: "conv_1", State: payments.Requested}); n != 4 {
		t.Errorf("filtered: %d", n)
	}
	if n := count(payments.Actor{User: "ghost"}, payments.Filter{}); n != 0 {
		t.Errorf("a stranger sees %d", n)
	}
}

func TestBalances_OfOneselfOnly(t *testing.T) {
	w := peopled(t)
	w.held(12_000, "")
	got, err := w.Balances(t.Context(), payments.Actor{User: "buyer"}, "")
	if want := []payments.BalanceItem{{Currency: "EUR", Available: 38_000, Held: 12_000}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	_, err = w.Balances(t.Context(), payments.Actor{User: "seller"}, "buyer")
	wantErr(t, err, payments.ErrNotParty)
	if got, err := w.Balances(t.Context(), server, "seller"); err != nil || len(got) != 0 {
		t.Errorf("seller: %+v, %v", got, err)
	}
}
