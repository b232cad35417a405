package payments_test

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/payments"
)

func (w asking) link(in payments.LinkInput) payments.Link {
	w.t.Helper()
	in.Currency = "EUR"
	l, err := w.CreateLink(w.t.Context(), w.as("lea"), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w asking) linkNow(id string) payments.Link {
	w.t.Helper()
	l, err := w.GetLink(w.t.Context(), w.as("lea"), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// objectChanges lists the changes of the events of any object whose audience has user or, with "", a conversation.
func (w asking) objectChanges(id, user string) (all []string) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT data, audience FROM outbox_events WHERE object = ? ORDER BY object_seq", id)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var data, to string
			if err := rows.Scan(&data, &to); err != nil {
				return err
			}
			var ev struct{ Change string }
			var audience struct {
				Conversation string
				Users        []string
			}
			if err := errors.Join(json.Unmarshal([]byte(data), &ev), json.Unmarshal([]byte(to), &audience)); err != nil {
				return err
			}
			if slices.Contains(audience.Users, user) || user == "" && audience.Conversation != "" {
				all = append(all, ev.Change)
			}
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func uses(n int64) *int64 { return &n }

func TestLink_SingleUseIsClaimedOnceByManyAtOnce(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		for _, most := range []int64{1, 3} {
			l := w.link(payments.LinkInput{Amount: 4_250, Uses: uses(most)})
			errs := make([]error, 12)
			var wg sync.WaitGroup
			for i := range errs {
				payer := []string{"ann", "bob", "cy", "noah"}[i%4]
				wg.Go(func() { _, errs[i] = w.PayLink(t.Context(), w.as(payer), l.ID, 0) })
			}
			wg.Wait()
			won := int64(0)
			for _, err := range errs {
				if err == nil {
					won++
				} else if !errors.Is(err, payments.ErrLinkUsed) {
					t.Error(err)
				}
			}
			if got := w.linkNow(l.ID); won != most || got.Used != most || got.State != payments.LinkUsed {
				t.Errorf("%d won of %d uses: %+v", won, most, got)
			}
		}
	})
}

func TestLink_SaysAmountAndPayeeNotTheClient(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		fixed := w.link(payments.LinkInput{Amount: 4_250, Uses: uses(0), Memo: "Party", Order: "ord-7"})
		open := w.link(payments.LinkInput{Min: 100, Max: 500, Uses: uses(0)})
		if fixed.URL != "/l/"+fixed.ID || fixed.Headline == nil || open.Headline != nil {
			t.Errorf("link %+v", fixed)
		}
		for _, c := range []struct {
			link   string
			amount int64
			want   int64
			err    error
		}{
			{fixed.ID, 0, 4_250, nil}, {fixed.ID, 4_250, 4_250, nil}, {fixed.ID, 1, 0, payments.ErrAmount},
			{open.ID, 0, 0, payments.ErrAmount}, {open.ID, 99, 0, payments.ErrAmount}, {open.ID, 100, 100, nil}, {open.ID, 500, 500, nil}, {open.ID, 501, 0, payments.ErrAmount},
			{"lnk_none", 0, 0, payments.ErrLinkUnknown},
		} {
			p, err := w.PayLink(t.Context(), w.as("noah"), c.link, c.amount)
			if !errors.Is(err, c.err) || err == nil && (p.Amount != c.want || p.Payee != "lea" || p.Payer != "noah" || p.Link != c.link || p.Silent) {
				t.Errorf("%s %d: %+v %v", c.link, c.amount, p, err)
			}
		}
		if _, err := w.PayLink(t.Context(), w.as("lea"), fixed.ID, 0); !errors.Is(err, payments.ErrSelf) {
			t.Errorf("lea pays lea: %v", err)
		}
		if _, err := w.PayLink(t.Context(), w.as("server"), fixed.ID, 0); !errors.Is(err, payments.ErrNotParty) {
			t.Errorf("nobody pays: %v", err)
		}
		if _, err := w.ask("lea", "noah"); err != nil {
			t.Errorf("who paid through a link may be asked: %v", err)
		}
		seen, err := w.GetLink(t.Context(), w.as("noah"), fixed.ID)
		if err != nil || seen.Used != 0 || seen.Order != "" || seen.Amount != 4_250 || seen.PayeeName != "lea" {
			t.Errorf("a payer sees %+v, %v", seen, err)
		}
	})
}

func TestLink_SameKeySamePayment(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		l := w.link(payments.LinkInput{Amount: 4_250})
		key := w.as("ann")
		ids := make([]string, 10)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				p, err := w.PayLink(t.Context(), key, l.ID, 0)
				if err != nil {
					t.Error(err)
				}
				ids[i] = p.ID
			})
		}
		wg.Wait()
		if slices.Sort(ids); len(slices.Compact(ids)) != 1 {
			t.Error("several payments under one key")
		}
	})
}

func TestLink_AUseComesBackWhenNoMoneyMoved(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		l := w.link(payments.LinkInput{Amount: 4_250})
		first, err := w.PayLink(t.Context(), w.as("noah"), l.ID, 0)
		w.must(first, err)
		w.must(w.Decline(t.Context(), w.as("noah"), first.ID))
		second, err := w.PayLink(t.Context(), w.as("ann"), l.ID, 0)
		w.must(second, err)
		w.pay(second)
		w.must(w.Refund(t.Context(), w.as("lea"), second.ID, 0))
		if _, err := w.PayLink(t.Context(), w.as("bob"), l.ID, 0); !errors.Is(err, payments.ErrLinkUsed) {
			t.Errorf("used again after a refund: %v", err)
		}
		if got, want := w.objectChanges(l.ID, "lea"), []string{"created", "paid", "returned", "paid"}; !slices.Equal(got, want) {
			t.Errorf("the payee heard %v, want %v", got, want)
		}
		w.check()
	})
}

func TestLink_EndsByTimeOrWord(t *testing.T) {
	eachAsking(t, payments.AskLimits{}, func(t *testing.T, w asking) {
		timed := w.link(payments.LinkInput{Amount: 5, ExpiresIn: time.Hour})
		closed := w.link(payments.LinkInput{Amount: 5})
		if _, err := w.CancelLink(t.Context(), w.as("ann"), closed.ID); !errors.Is(err, payments.ErrNotParty) {
			t.Errorf("ann cancels: %v", err)
		}
		if l, err := w.CancelLink(t.Context(), w.as("lea"), closed.ID); err != nil || l.State != payments.LinkCancelled {
			t.Errorf("cancelled: %+v %v", l, err)
		}
		w.wait(time.Hour)
		for _, id := range []string{timed.ID, closed.ID} {
			if _, err := w.PayLink(t.Context(), w.as("ann"), id, 0); !errors.Is(err, payments.ErrLinkClosed) {
				t.Errorf("paid: %v", err)
			}
		}
		if got := w.linkNow(timed.ID); got.State != payments.LinkExpired {
			t.Errorf("before the sweep %s", got.State)
		}
		for range 2 {
			if _, err := w.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := w.objectChanges(timed.ID, "lea"), []string{"created", "expired"}; !slices.Equal(got, want) {
			t.Errorf("the payee heard %v, want %v", got, want)
		}
		if _, err := w.CancelLink(t.Context(), w.as("lea"), timed.ID); !errors.Is(err, payments.ErrLinkClosed) {
			t.Errorf("cancelled after its time: %v", err)
		}
		mine, next, err := w.ListLinks(t.Context(), w.as("lea"), "", "", 1)
		if err != nil || len(mine) != 1 || next != mine[0].ID {
			t.Errorf("listed %+v %q %v", mine, next, err)
		}
		if rest, end, err := w.ListLinks(t.Context(), w.as("lea"), "", next, 1); err != nil || len(rest) != 1 || rest[0].ID == next || end != "" {
			t.Errorf("then %+v %q %v", rest, end, err)
		}
		if others, _, err := w.ListLinks(t.Context(), w.as("ann"), "lea", "", 0); err != nil || len(others) != 0 {
			t.Errorf("ann sees lea's links: %+v %v", others, err)
		}
	})
}

func TestLink_WhoIsBlockedFindsItClosed(t *testing.T) {
	eachAsking(t, payments.AskLimits{PerDay: 2}, func(t *testing.T, w asking) {
		l := w.link(payments.LinkInput{Amount: 5})
		w.circle.blocked[[2]string{"lea", "noah"}] = true
		if _, err := w.PayLink(t.Context(), w.as("noah"), l.ID, 0); !errors.Is(err, payments.ErrLinkClosed) {
			t.Errorf("blocked payer: %v", err)
		}
		w.link(payments.LinkInput{Amount: 5})
		_, err := w.CreateLink(t.Context(), w.as("lea"), payments.LinkInput{Amount: 5, Currency: "EUR"})
		wantLimit(t, err, "per_day", day)
		for name, in := range map[string]payments.LinkInput{
			"for another": {Payee: "ann", Amount: 5}, "not live": {Amount: 5, Confirm: payments.ConfirmNone},
		} {
			in.Currency = "EUR"
			if _, err := w.CreateLink(t.Context(), w.as("lea"), in); !errors.Is(err, payments.ErrNotParty) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, in := range map[string]payments.LinkInput{
			"amount and bounds": {Amount: 5, Min: 1}, "uses": {Amount: 5, Uses: uses(-1)}, "seconds": {Amount: 5, ExpiresIn: time.Second},
		} {
			in.Currency = "EUR"
			if _, err := w.CreateLink(t.Context(), w.as("lea"), in); !errors.Is(err, payments.ErrInput) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
