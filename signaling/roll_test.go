package signaling_test

import (
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/signaling"
	"parley/wire"
)

// wantRoll checks the roll against the table that it stands for.
func (w *world) wantRoll(s *signaling.Service, users ...wire.UserID) {
	w.t.Helper()
	for _, u := range []wire.UserID{"buyer", "seller", "host", "guest1", "guest2"} {
		var parts int
		err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow("SELECT count(*) FROM call_members WHERE user_id = ? AND part >= 1", u).Scan(&parts)
		})
		if err != nil {
			w.t.Fatal(err)
		}
		want := false
		for _, v := range users {
			want = want || u == v
		}
		if got := s.OnRoll(u); got != (parts > 0) || got != want {
			w.t.Errorf("%s: on the roll: %v, parts: %d", u, got, parts)
		}
	}
}

func TestRoll_KnowsWhoHasAPartInACall(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if err := w.calls.FillRoll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantRoll(w.calls)
		missed := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.wantRoll(w.calls, "buyer", "seller")
		w.pass(time.Minute)
		w.wantState(missed.ID, signaling.Ended, signaling.NoAnswer)
		w.wantRoll(w.calls)
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.answer("seller/s1", call.ID)
		w.wantRoll(w.calls, "buyer", "seller")

		again := w.node() // after a restart
		if !again.OnRoll("host") {
			t.Error("a roll that was not filled knows something")
		}
		if err := again.FillRoll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantRoll(again, "buyer", "seller")
		if _, err := again.Hangup(t.Context(), on("seller/s1"), call.ID); err != nil {
			t.Fatal(err)
		}
		w.wantRoll(again)
	})
}
