package payments_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// circle is who has let whom in and who keeps whom away.
type circle struct {
	mu      sync.Mutex
	met     map[[2]string]bool // payer, payee
	blocked map[[2]string]bool // by, user
}

func (c *circle) Met(_ *sqldb.Tx, payer, payee string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.met[[2]string{payer, payee}], nil
}

func (c *circle) Blocked(_ *sqldb.Tx, by, user string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked[[2]string{by, user}], nil
}

// asking is a world in which people ask each other: lea knows ann, bob and cy;
// nobody knows noah.
type asking struct {
	*world
	circle *circle
}

func newAsking(t testing.TB, db *sqldb.DB, limits payments.AskLimits) asking {
	c := &circle{met: map[[2]string]bool{{"ann", "lea"}: true, {"bob", "lea"}: true, {"cy", "lea"}: true}, blocked: map[[2]string]bool{}}
	w := newWorld(t, db, payments.Config{Asking: limits}, func(d *payments.Deps) { d.Relations = c })
	for _, payer := range []string{"ann", "bob", "cy"} {
		w.fund(payer, 100_000)
	}
	return asking{w, c}
}

func eachAsking(t *testing.T, limits payments.AskLimits, f func(t *testing.T, w asking)) {
	t.Helper()
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) { f(t, newAsking(t, db, limits)) })
}

// ask lets payee ask payer for 10 EUR.
func (w asking) ask(payee, payer string) (payments.Payment, error) {
	return w.Create(w.t.Context(), w.as(payee), payments.CreateInput{Payer: payer, Amount: 1_000, Currency: "EUR"})
}

func (w asking) wait(d time.Duration) { w.clock.Advance(d) }

// pay lets the payer hold a payment and the app capture it.
func (w asking) pay(p payments.Payment) {
	w.t.Helper()
	w.must(w.Hold(w.t.Context(), w.as(p.Payer), p.ID, 0))
	confirm := func(user string) {
		if _, err := w.confirm(payments.Actor{User: user, Key: w.as(user).Key}, w.now(p.ID), "words"); err != nil {
			w.t.Fatal(err)
		}
	}
	confirm(p.Payer)
	confirm(p.Payee)
}

func (w asking) now(id string) payments.Payment {
	w.t.Helper()
	return w.must(w.Get(w.t.Context(), server, id))
}

func wantLimit(t *testing.T, err error, limit string, retry time.Duration) {
	t.Helper()
	var l *payments.LimitError
	if !errors.As(err, &l) || l.Limit != limit {
		t.Fatalf("got %v, want limit %s", err, limit)
	}
	if got := time.Duration(l.RetryAfter()) * time.Second; got < retry-2*time.Second || got > retry {
		t.Errorf("retry after %s, want %s", got, retry)
	}
}

func TestRequest_NeedsARelation(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		if _, err := w.ask("noah", "ann"); !errors.Is(err, payments.ErrNoRelation) {
			t.Errorf("a stranger asks: %v", err)
		}
		if _, err := w.ask("ann", "lea"); !errors.Is(err, payments.ErrNoRelation) {
			t.Errorf("ann let lea in, lea did not let ann in: %v", err)
		}
		// An offer is the payer's own act: from then on the payee may ask.
		if _, err := w.Create(t.Context(), w.as("ann"), payments.CreateInput{Payee: "noah", Amount: 5, Currency: "EUR"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ask("noah", "ann"); err != nil {
			t.Errorf("asked back after an offer: %v", err)
		}
		if _, err := w.Create(t.Context(), w.as("server"), payments.CreateInput{Payer: "bob", Payee: "noah", Amount: 5, Currency: "EUR"}); err != nil {
			t.Errorf("the app asks: %v", err)
		}
		if _, err := w.ask("noah", "bob"); !errors.Is(err, payments.ErrNoRelation) {
			t.Errorf("what the app asked for and nobody paid is a relation: %v", err)
		}
	})
}

func TestRequest_IsSilentUntilThePayerHasPaidOnce(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		first, err := w.ask("lea", "ann")
		if err != nil {
			t.Fatal(err)
		}
		if !first.Silent || first.AskedBy != payments.AskedByPayee || first.Headline.Code != "pay_name_unchecked" || !strings.HasPrefix(first.Headline.Text, "You will PAY 10.00 EUR to “lea”") {
			t.Errorf("first request %+v", first.Asked)
		}
		w.pay(first)
		second, err := w.ask("lea", "ann")
		if err != nil || second.Silent {
			t.Errorf("after a paid one: %+v, %v", second.Asked, err)
		}
		other, err := w.ask("lea", "bob")
		if err != nil || !other.Silent {
			t.Errorf("another payer: %+v, %v", other.Asked, err)
		}
	})
}

func TestRequest_ABlockLooksLikeAStrangersRefusal(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		p, err := w.ask("lea", "ann")
		if err != nil {
			t.Fatal(err)
		}
		w.pay(p)
		w.circle.blocked[[2]string{"ann", "lea"}] = true
		_, blocked := w.ask("lea", "ann")
		_, strange := w.ask("noah", "ann")
		if !errors.Is(blocked, payments.ErrNoRelation) || blocked.Error() != strange.Error() {
			t.Errorf("blocked hears %q, a stranger %q", blocked, strange)
		}
		_, offered := w.Create(t.Context(), w.as("lea"), payments.CreateInput{Payee: "ann", Amount: 5, Currency: "EUR"})
		if !errors.Is(offered, payments.ErrNoRelation) {
			t.Errorf("a blocked user offers: %v", offered)
		}
	})
}

func TestRequest_LimitsAtTheirEdges(t *testing.T) {
	eachAsking(t, payments.AskLimits{OpenPerPair: 2, PerDay: 4, AfterDecline: time.Hour}, func(t *testing.T, w asking) {
		ask := func(payer string) payments.Payment { t.Helper(); p, err := w.ask("lea", payer); return w.must(p, err) }
		first := ask("ann")
		ask("ann")
		_, err := w.ask("lea", "ann")
		wantLimit(t, err, "open_per_pair", day)
		w.must(w.Cancel(t.Context(), w.as("lea"), first.ID))
		declined := ask("ann")
		w.must(w.DeclineFor(t.Context(), w.as("ann"), declined.ID, "not_mine"))
		if got := w.now(declined.ID); got.DeclineReason != "not_mine" {
			t.Errorf("reason %q", got.DeclineReason)
		}
		_, err = w.ask("lea", "ann")
		wantLimit(t, err, "after_decline", time.Hour)
		w.wait(time.Hour - time.Second)
		_, err = w.ask("lea", "ann")
		wantLimit(t, err, "after_decline", time.Second)
		w.wait(time.Second)
		ask("ann") // the fourth of the day
		_, err = w.ask("lea", "bob")
		wantLimit(t, err, "per_day", day-time.Hour)
		w.wait(day - time.Hour) // three of the four are a day old
		if _, err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, payer := range []string{"bob", "bob", "cy"} {
			ask(payer)
		}
		_, err = w.ask("lea", "cy")
		wantLimit(t, err, "per_day", time.Hour)
		if _, err := w.Create(t.Context(), w.as("server"), payments.CreateInput{Payer: "cy", Payee: "lea", Amount: 5, Currency: "EUR"}); err != nil {
			t.Errorf("limits do not bind the app: %v", err)
		}
	})
}

const day = 24 * time.Hour

func TestRequest_LimitsAreExactWhenManyAskAtOnce(t *testing.T) {
	eachAsking(t, payments.AskLimits{OpenPerPair: 3, PerDay: 7}, func(t *testing.T, w asking) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := map[string]int{}
		for i := range 24 {
			payer := []string{"ann", "bob", "cy"}[i%3]
			wg.Go(func() {
				_, err := w.ask("lea", payer)
				if err == nil {
					mu.Lock()
					made[payer]++
					made["all"]++
					mu.Unlock()
				} else if !errors.Is(err, payments.ErrRequestLimited) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made["all"] != 7 || max(made["ann"], made["bob"], made["cy"]) > 3 {
			t.Errorf("made %v, want 7 in all and at most 3 for each", made)
		}
	})
}

func TestRequest_OneReminderADay(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		p, err := w.Create(t.Context(), w.as("lea"), payments.CreateInput{Payer: "ann", Amount: 1_000, Currency: "EUR", ExpiresIn: 5 * day})
		w.must(p, err)
		_, err = w.Remind(t.Context(), w.as("lea"), p.ID)
		wantLimit(t, err, "remind_every", day)
		w.wait(day)
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { _, errs[i] = w.Remind(t.Context(), w.as("lea"), p.ID) })
		}
		wg.Wait()
		reminded := 0
		for _, err := range errs {
			if err == nil {
				reminded++
			} else {
				wantLimit(t, err, "remind_every", day)
			}
		}
		if want := []string{"requested", "reminded"}; reminded != 1 || !slices.Equal(w.changes(p.ID), want) {
			t.Errorf("%d reminders, events %v", reminded, w.changes(p.ID))
		}
		for by, want := range map[string]error{"ann": payments.ErrNotParty, "bob": payments.ErrNotParty} {
			if _, err := w.Remind(t.Context(), w.as(by), p.ID); !errors.Is(err, want) {
				t.Errorf("%s reminds: %v", by, err)
			}
		}
		w.must(w.Decline(t.Context(), w.as("ann"), p.ID))
		if _, err := w.Remind(t.Context(), w.as("lea"), p.ID); !errors.Is(err, payments.ErrState) {
			t.Errorf("reminded of a declined request: %v", err)
		}
	})
}

func TestRequest_ReportsStopAPayeeUntilReviewed(t *testing.T) {
	eachAsking(t, payments.AskLimits{Reporters: 2, AfterDecline: time.Hour}, func(t *testing.T, w asking) {
		report := func(payer string) {
			t.Helper()
			p, err := w.ask("lea", payer)
			w.must(p, err)
			w.must(w.Report(t.Context(), w.as(payer), p.ID))
		}
		report("ann")
		w.wait(time.Hour)
		report("ann") // the same reporter counts once
		if _, err := w.ask("lea", "bob"); err != nil {
			t.Fatalf("one reporter stops all: %v", err)
		}
		report("bob")
		w.wait(day)
		for name, try := range map[string]func() error{
			"request": func() error { _, err := w.ask("lea", "cy"); return err },
			"link": func() error {
				_, err := w.CreateLink(t.Context(), w.as("lea"), payments.LinkInput{Amount: 5, Currency: "EUR"})
				return err
			},
		} {
			if err := try(); !errors.Is(err, payments.ErrRequestsStopped) {
				t.Errorf("%s after two reporters: %v", name, err)
			}
		}
		if _, err := w.ReviewAsking(t.Context(), w.as("lea"), "lea", true); !errors.Is(err, payments.ErrNotParty) {
			t.Errorf("lea reviews lea: %v", err)
		}
		if r, err := w.ReviewAsking(t.Context(), w.as("server"), "lea", false); err != nil || !r.Stopped || r.Reporters != 2 {
			t.Errorf("looked at: %+v %v", r, err)
		}
		if r, err := w.ReviewAsking(t.Context(), w.as("server"), "lea", true); err != nil || r.Stopped {
			t.Errorf("cleared: %+v %v", r, err)
		}
		if _, err := w.ask("lea", "cy"); err != nil {
			t.Errorf("asks after the review: %v", err)
		}
	})
}

func TestRequest_AStrangersTextLeadsNowhere(t *testing.T) {
	w := newAsking(t, sqldbtest.Open(t, schemas()), payments.AskLimits{OpenPerPair: 100})
	for memo, isFine := range map[string]bool{
		"": true, "Bike": true, "Table 12, Friday": true, "Für die Fahrräder, danke!": true, "Обед в пятницу": true, "z.B. das Rad": true, "Dinner 2026": true,
		"call 0170 1234567": false, "see parley.example/pay": false, "example.com": false, "http://x": false, "mail me@home": false,
		"you get 500 €": false, "Аnn's bike": false, "bike\u200b": false, "\u202ebike": false, "ｆree": false, "𝐟ree": false, "٠١٢٣٤٥": false, "①②③④⑤": false,
	} {
		_, err := w.Create(t.Context(), w.as("lea"), payments.CreateInput{Payer: "ann", Amount: 5, Currency: "EUR", Memo: memo})
		if got := !errors.Is(err, payments.ErrMemo); got != isFine || isFine && err != nil {
			t.Errorf("%q: %v", memo, err)
		}
	}
	p, err := w.Create(t.Context(), w.as("lea"), payments.CreateInput{Payer: "bob", Amount: 5, Currency: "EUR", Memo: "Bike"})
	w.must(p, err)
	bad := "pay at example.com"
	if _, err := w.Edit(t.Context(), w.as("lea"), p.ID, payments.EditInput{Memo: &bad}); !errors.Is(err, payments.ErrMemo) {
		t.Errorf("edited into an address: %v", err)
	}
	w.pay(p)
	if _, err := w.Create(t.Context(), w.as("lea"), payments.CreateInput{Payer: "bob", Amount: 5, Currency: "EUR", Memo: "see example.com, 0170 1234567"}); err != nil {
		t.Errorf("who was paid before writes freely: %v", err)
	}
}

func TestRequest_WhoMayRing(t *testing.T) {
	w := newAsking(t, sqldbtest.Open(t, schemas()), payments.AskLimits{})
	may := func(from, to string) bool {
		t.Helper()
		ok, err := w.MayRing(context.Background(), from, to)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	p, err := w.ask("lea", "ann")
	w.must(p, err)
	if may("lea", "ann") || !may("ann", "lea") {
		t.Errorf("silent request: payee may ring %v, payer %v", may("lea", "ann"), may("ann", "lea"))
	}
	w.must(w.Hold(t.Context(), w.as("ann"), p.ID, 0))
	if !may("lea", "ann") || !may("ann", "lea") {
		t.Error("held, and one may not ring the other")
	}
	if _, err := w.Create(t.Context(), w.as("bob"), payments.CreateInput{Payee: "noah", Amount: 5, Currency: "EUR"}); err != nil {
		t.Fatal(err)
	}
	if may("bob", "noah") || !may("noah", "bob") {
		t.Error("an offer without money rings, or cannot be answered")
	}
	if may("ann", "bob") {
		t.Error("without a payment")
	}
}

func TestNew_RefusesLimitsBelowZero(t *testing.T) {
	for _, limits := range []payments.AskLimits{{OpenPerPair: -1}, {PerDay: -1}, {Reporters: -1}, {AfterDecline: -1}, {RemindEvery: -1}} {
		_, err := payments.New(payments.Config{Asking: limits}, payments.Deps{DB: &sqldb.DB{}, Digester: digest, Sensitive: func(string) bool { return false }})
		if err == nil {
			t.Errorf("%+v accepted", limits)
		}
	}
}

func TestLimitError_SaysWhatAndWhen(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &payments.LimitError{Limit: "per_day", Retry: 1500 * time.Millisecond})
	var l *payments.LimitError
	if !errors.Is(err, payments.ErrRequestLimited) || !errors.As(err, &l) || l.RetryAfter() != 2 || !strings.Contains(err.Error(), "per_day") {
		t.Errorf("%v", err)
	}
	if (&payments.LimitError{}).RetryAfter() != 1 {
		t.Error("no wait at all")
	}
}

func FuzzStrangersText(f *testing.F) {
	w := newAsking(f, sqldbtest.Open(f, schemas()), payments.AskLimits{OpenPerPair: 1 << 30, PerDay: 1 << 30})
	for _, seed := range []string{"Bike", "example.com", "Аnn", "0170 1234567", "\u202e", "①", "z.B."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, memo string) {
		p, err := w.Create(context.Background(), w.as("lea"), payments.CreateInput{Payer: "ann", Amount: 5, Currency: "EUR", Memo: memo})
		if err != nil {
			return
		}
		if p.Memo != memo || strings.ContainsAny(memo, "@\\€$") || strings.Contains(memo, "//") {
			t.Errorf("accepted %q as %q", memo, p.Memo)
		}
	})
}
