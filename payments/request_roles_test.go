package payments_test

import (
	"errors"
	"testing"
	"time"

	"parley/payments"
)

// TestRequest_WhoMayDoWhat is the authorisation table of everything about
// asking: lea is the payee, ann and bob are payers, cy and nobody else know
// lea, and noah has nothing to do with it. A line names those who may; the
// others hear its error.
func TestRequest_WhoMayDoWhat(t *testing.T) {
	var (
		notParty = payments.ErrNotParty
		unknown  = payments.ErrRequestUnknown
	)
	eachAsking(t, payments.AskLimits{OpenPerPair: 1000, PerDay: 1000, AfterDecline: time.Nanosecond, RemindEvery: time.Nanosecond, Reporters: 1000}, func(t *testing.T, w asking) {
		request := func() string {
			t.Helper()
			p, err := w.ask("lea", "ann")
			w.wait(time.Second)
			return w.must(p, err).ID
		}
		link := func() string { return w.link(payments.LinkInput{Amount: 5, Uses: uses(0)}).ID }
		group := func() string {
			return w.group(payments.GroupInput{Amount: 900, Shares: []payments.Share{{Payer: "ann"}, {Payer: "bob"}}, Split: "equal"}).ID
		}
		for _, line := range []struct {
			what string
			make func() string
			do   func(a payments.Actor, id string) error
			want map[string]error // nil: may; whoever is not named: other
			rest error
		}{
			{"ask ann", func() string { return "ann" }, func(a payments.Actor, payer string) error {
				_, err := w.Create(t.Context(), a, payments.CreateInput{Payer: payer, Payee: "lea", Amount: 5, Currency: "EUR"})
				return err
			}, map[string]error{"lea": nil, "ann": nil, "server": nil}, notParty},
			{"decline", request, func(a payments.Actor, id string) error { _, err := w.Decline(t.Context(), a, id); return err },
				map[string]error{"ann": nil}, notParty},
			{"cancel", request, func(a payments.Actor, id string) error { _, err := w.Cancel(t.Context(), a, id); return err },
				map[string]error{"lea": nil}, notParty},
			{"remind", request, func(a payments.Actor, id string) error { _, err := w.Remind(t.Context(), a, id); return err },
				map[string]error{"lea": nil, "server": nil}, notParty},
			{"report", request, func(a payments.Actor, id string) error { _, err := w.Report(t.Context(), a, id); return err },
				map[string]error{"ann": nil}, notParty},
			{"look at a request", request, func(a payments.Actor, id string) error { _, err := w.Get(t.Context(), a, id); return err },
				map[string]error{"lea": nil, "ann": nil, "server": nil}, notParty},
			{"review lea", func() string { return "lea" }, func(a payments.Actor, id string) error {
				_, err := w.ReviewAsking(t.Context(), a, id, false)
				return err
			},
				map[string]error{"server": nil}, notParty},
			{"make lea's link", func() string { return "lea" }, func(a payments.Actor, payee string) error {
				_, err := w.CreateLink(t.Context(), a, payments.LinkInput{Payee: payee, Amount: 5, Currency: "EUR"})
				return err
			}, map[string]error{"lea": nil, "server": nil}, notParty},
			{"look at a link", link, func(a payments.Actor, id string) error { _, err := w.GetLink(t.Context(), a, id); return err }, nil, nil},
			{"pay a link", link, func(a payments.Actor, id string) error { _, err := w.PayLink(t.Context(), a, id, 0); return err },
				map[string]error{"lea": payments.ErrSelf, "server": notParty}, nil},
			{"cancel a link", link, func(a payments.Actor, id string) error { _, err := w.CancelLink(t.Context(), a, id); return err },
				map[string]error{"lea": nil, "server": nil}, notParty},
			{"ask several for lea", func() string { return "lea" }, func(a payments.Actor, payee string) error {
				_, err := w.CreateGroup(t.Context(), a, payments.GroupInput{Payee: payee, Currency: "EUR", Shares: []payments.Share{{"ann", 5}, {"bob", 5}}})
				return err
			}, map[string]error{"lea": nil, "server": nil}, notParty},
			{"look at a request to several", group, func(a payments.Actor, id string) error { _, err := w.GetGroup(t.Context(), a, id); return err },
				map[string]error{"lea": nil, "ann": nil, "bob": nil, "server": nil}, unknown},
			{"cancel a request to several", group, func(a payments.Actor, id string) error { _, err := w.CancelGroup(t.Context(), a, id); return err },
				map[string]error{"lea": nil, "server": nil, "ann": notParty, "bob": notParty}, unknown},
		} {
			for _, who := range []string{"lea", "ann", "bob", "cy", "noah", "server"} {
				want, named := line.want[who]
				if !named {
					want = line.rest
				}
				w.wait(time.Second) // nothing here is about limits
				if err := line.do(w.as(who), line.make()); !errors.Is(err, want) {
					t.Errorf("%s: %s: got %v, want %v", line.what, who, err, want)
				}
			}
		}
	})
}
