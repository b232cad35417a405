package payments_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/payments"
)

func TestSplit_KeepsEveryUnitWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payers := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,6}`), 1, 50, rapid.ID).Draw(t, "payers")
		amount := rapid.Int64Range(1, payments.MaxAmount).Draw(t, "amount")
		shares, err := payments.Split(amount, payers)
		if amount < int64(len(payers)) {
			if !errors.Is(err, payments.ErrAmount) {
				t.Fatalf("%d among %d: %v", amount, len(payers), err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		shuffled := slices.Clone(payers)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, err := payments.Split(amount, shuffled)
		if err != nil {
			t.Fatal(err)
		}
		sum, least := int64(0), amount/int64(len(payers))
		sorted := slices.Sorted(slices.Values(payers))
		for i, p := range sorted {
			sum += shares[p]
			if shares[p] != again[p] || shares[p] < least || shares[p] > least+1 || i > 0 && shares[p] > shares[sorted[i-1]] {
				t.Fatalf("%s gets %d, in another order %d, of %d among %d", p, shares[p], again[p], amount, len(payers))
			}
		}
		if sum != amount {
			t.Fatalf("shares add up to %d of %d", sum, amount)
		}
	})
}

func (w asking) group(in payments.GroupInput) payments.GroupRequest {
	w.t.Helper()
	in.Currency = "EUR"
	if in.Shares == nil {
		in.Shares, in.Split = []payments.Share{{Payer: "bob"}, {Payer: "cy"}, {Payer: "ann"}}, payments.SplitEqual
	}
	r, err := w.CreateGroup(w.t.Context(), w.as("lea"), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w asking) groupNow(id string) payments.GroupRequest {
	w.t.Helper()
	r, err := w.GetGroup(w.t.Context(), w.as("lea"), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestGroup_IsCompleteWhenNoShareWaits(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		r := w.group(payments.GroupInput{Amount: 10_000})
		if len(r.Items) != 3 || r.Items[0].Payer != "ann" || r.Items[0].Amount != 3_334 || r.Items[1].Amount != 3_333 || r.Amount != 10_000 || r.State != payments.RequestOpen {
			t.Fatalf("made %+v", r)
		}
		w.pay(r.Items[0])
		w.must(w.Decline(t.Context(), w.as("bob"), r.Items[1].ID))
		if got := w.groupNow(r.ID); got.State != payments.RequestOpen || *got.Collected != 3_334 {
			t.Errorf("with one waiting: %s, %d", got.State, *got.Collected)
		}
		w.wait(day)
		if _, err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.groupNow(r.ID); got.State != payments.RequestComplete || *got.Collected != 3_334 {
			t.Errorf("when the last expired: %s, %d", got.State, *got.Collected)
		}
		if got := w.objectChanges(r.ID, "lea"); got[0] != "created" || got[len(got)-1] != "complete" {
			t.Errorf("the payee heard %v", got)
		}
		if _, err := w.CancelGroup(t.Context(), w.as("lea"), r.ID); !errors.Is(err, payments.ErrState) {
			t.Errorf("cancelled when complete: %v", err)
		}
		w.check()
	})
}

func TestGroup_CancelEndsWhatIsOpenAndGivesHeldMoneyBack(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		r := w.group(payments.GroupInput{Amount: 9_000})
		w.pay(r.Items[0])
		w.must(w.Hold(t.Context(), w.as("bob"), r.Items[1].ID, 0))
		for by, want := range map[string]error{"ann": payments.ErrNotParty, "noah": payments.ErrRequestUnknown} {
			if _, err := w.CancelGroup(t.Context(), w.as(by), r.ID); !errors.Is(err, want) {
				t.Errorf("%s cancels: %v", by, err)
			}
		}
		done, err := w.CancelGroup(t.Context(), w.as("lea"), r.ID)
		if err != nil || done.State != payments.RequestCancelled || *done.Collected != 3_000 {
			t.Fatalf("%+v %v", done, err)
		}
		var states []string
		for _, item := range done.Items {
			states = append(states, string(item.State))
		}
		if got := strings.Join(states, " "); got != "captured cancelled cancelled" || w.available("bob") != 100_000 {
			t.Errorf("shares are %s, bob has %d", got, w.available("bob"))
		}
		w.check()
	})
}

func TestGroup_CancelAgainstEverybodyPaying(t *testing.T) {
	eachAsking(t, payments.AskLimits{OpenPerPair: 100, PerDay: 1000, AfterDecline: time.Nanosecond}, func(t *testing.T, w asking) {
		for range 6 {
			r := w.group(payments.GroupInput{Amount: 900})
			var wg sync.WaitGroup
			for _, item := range r.Items {
				wg.Go(func() {
					if _, err := w.Hold(t.Context(), w.as(item.Payer), item.ID, 0); err != nil && !errors.Is(err, payments.ErrState) {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if _, err := w.CancelGroup(t.Context(), w.as("lea"), r.ID); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			for _, item := range w.groupNow(r.ID).Items {
				if item.State != payments.Cancelled {
					t.Errorf("a share is %s", item.State)
				}
			}
		}
		if w.available("ann") != 100_000 {
			t.Errorf("ann has %d", w.available("ann"))
		}
		w.check()
	})
}

func TestGroup_AllSharesOrNone(t *testing.T) {
	eachAsking(t, payments.AskLimits{OpenPerPair: 1, PerDay: 4}, func(t *testing.T, w asking) {
		share := func(names ...string) (all []payments.Share) {
			for _, n := range names {
				all = append(all, payments.Share{Payer: n, Amount: 500})
			}
			return all
		}
		for name, c := range map[string]struct {
			in   payments.GroupInput
			want error
		}{
			"a stranger among them": {payments.GroupInput{Shares: share("ann", "noah")}, payments.ErrNoRelation},
			"one person":            {payments.GroupInput{Shares: share("ann")}, payments.ErrInput},
			"one twice":             {payments.GroupInput{Shares: share("ann", "ann")}, payments.ErrInput},
			"oneself":               {payments.GroupInput{Shares: share("ann", "lea")}, payments.ErrSelf},
			"for another":           {payments.GroupInput{Payee: "bob", Shares: share("ann", "cy")}, payments.ErrNotParty},
			"another sum":           {payments.GroupInput{Amount: 1_001, Shares: share("ann", "bob")}, payments.ErrAmount},
			"split and amounts":     {payments.GroupInput{Amount: 1_000, Split: "equal", Shares: share("ann", "bob")}, payments.ErrInput},
			"nothing to split":      {payments.GroupInput{Split: "equal", Shares: []payments.Share{{Payer: "ann"}, {Payer: "bob"}}}, payments.ErrAmount},
			"another split":         {payments.GroupInput{Split: "dice", Shares: share("ann", "bob")}, payments.ErrInput},
		} {
			c.in.Currency = "EUR"
			if _, err := w.CreateGroup(t.Context(), w.as("lea"), c.in); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if _, err := w.ask("lea", "cy"); err != nil {
			t.Fatalf("something of the refused ones counts: %v", err)
		}
		_, err := w.CreateGroup(t.Context(), w.as("lea"), payments.GroupInput{Shares: share("ann", "bob", "cy"), Currency: "EUR"})
		wantLimit(t, err, "open_per_pair", day)
		key := w.as("lea")
		in := payments.GroupInput{Shares: share("bob", "ann"), Currency: "EUR"}
		first, err := w.CreateGroup(t.Context(), key, in)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(in.Shares)
		if again, err := w.CreateGroup(t.Context(), key, in); err != nil || again.ID != first.ID {
			t.Errorf("the same key: %v %v", again.ID, err)
		}
		if list, _, err := w.ListGroups(t.Context(), w.as("ann"), "", 0); err != nil || len(list) != 1 {
			t.Errorf("ann's list %+v %v", list, err)
		}
		if _, err := w.Edit(t.Context(), w.as("lea"), first.Items[0].ID, payments.EditInput{Amount: 1}); !errors.Is(err, payments.ErrState) {
			t.Errorf("a share's amount edited: %v", err)
		}
	})
}

func TestGroup_EachSeesWhatTheyShould(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		private, shared := w.group(payments.GroupInput{Amount: 9_000}), w.group(payments.GroupInput{Amount: 9_000, Conversation: "conv_1"})
		for _, c := range []struct {
			by, id                string
			items, payers, amount int
			err                   error
		}{
			{"lea", private.ID, 3, 3, 9_000, nil}, {"server", private.ID, 3, 3, 9_000, nil},
			{"ann", private.ID, 1, 1, 0, nil}, {"ann", shared.ID, 1, 3, 9_000, nil}, {"noah", shared.ID, 0, 0, 0, payments.ErrRequestUnknown},
		} {
			r, err := w.GetGroup(t.Context(), w.as(c.by), c.id)
			if !errors.Is(err, c.err) || len(r.Items) != c.items || len(r.Payers) != c.payers || r.Amount != int64(c.amount) {
				t.Errorf("%s sees %+v, %v", c.by, r, err)
			}
			if isPayer := c.by == "ann"; isPayer && (r.Items[0].Payer != "ann" || r.Collected != nil) {
				t.Errorf("%s sees %+v", c.by, r)
			}
		}
		if got := w.objectChanges(shared.ID, ""); !slices.Equal(got, []string{"created"}) {
			t.Errorf("the conversation heard %v", got)
		}
		if got := w.objectChanges(private.ID, ""); got != nil {
			t.Errorf("a conversation heard %v", got)
		}
	})
}
