package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

// The chart of what is played here: every account but the world outside has a floor of zero.
var roomBook = ledger.New(func(id string) (ledger.Terms, bool) {
	kind, _, _ := strings.Cut(id, ":")
	switch kind {
	case "world":
		return ledger.Terms{Kind: "world", MayGoNegative: true}, true
	case "limit":
		return ledger.Terms{Kind: "limit", Ceiling: 100}, true
	case "share": // what a member put in less what was spent for them; the pot's other side
		return ledger.Terms{Kind: "share", MayGoNegative: true}, true
	}
	return ledger.Terms{Kind: kind}, true
})

func room(t *testing.T, db *sqldb.DB, now time.Time, transfers ...ledger.Transfer) error {
	t.Helper()
	return db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := roomBook.Record(tx, now, transfers...)
		return err
	})
}

func mustRoom(t *testing.T, db *sqldb.DB, now time.Time, transfers ...ledger.Transfer) {
	t.Helper()
	if err := room(t, db, now, transfers...); err != nil {
		t.Fatal(err)
	}
}

// atOnce runs do from n callers and returns how many succeeded; the others must fail with lost.
func atOnce(t *testing.T, n int, lost error, do func(i int) error) (won int) {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, lost) {
			t.Errorf("lost by %v, want %v", err, lost)
		}
	}
	return won
}

// TestLedger_HasRoomForWhatComesNext plays on the ledger's own face what later
// features need of it: none of them needs a change here.
func TestLedger_HasRoomForWhatComesNext(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		for name, play := range map[string]func(*testing.T, *sqldb.DB){
			"a bill split among many, to the last unit":       playSplit,
			"a wallet with a share for each member":           playWallet,
			"a budget that 50 grants at once cannot overdraw": playBudget,
			"a code that two phones claim at once":            playCode,
			"a limit over a window of time":                   playLimit,
			"a meter that captures what was used":             playMeter,
		} {
			t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { play(t, db) })
		}
		if r := check(t, db); r.Rows == 0 {
			t.Error("nothing was played")
		}
	})
}

// playSplit: 100.00 among 7, and all of it or nothing.
func playSplit(t *testing.T, db *sqldb.DB) {
	const total, people = 10_000, 7
	var fund, pay []ledger.Transfer
	for i := range people {
		share := int64(total / people)
		if i < total%people {
			share++ // the remainder, one unit each
		}
		from := fmt.Sprintf("split:%d", i)
		fund = append(fund, move("world", from, share))
		pay = append(pay, move(from, "split:shop", share))
	}
	mustRoom(t, db, at, fund[1:]...)
	if err := room(t, db, at, pay...); !errors.Is(err, ledger.ErrInsufficient) {
		t.Errorf("one cannot pay: %v", err)
	}
	if shop := balance(t, db, "split:shop").Posted; shop != 0 {
		t.Errorf("the shop got %d of a split that failed", shop)
	}
	mustRoom(t, db, at, fund[0])
	for i := range pay {
		pay[i].ID = id()
	}
	mustRoom(t, db, at, pay...)
	if shop := balance(t, db, "split:shop").Posted; shop != total {
		t.Errorf("the shop got %d", shop)
	}
}

// playWallet: the pot and the members' shares move in linked transfers, so that
// their sum is the pot at every moment.
func playWallet(t *testing.T, db *sqldb.DB) {
	members := []string{"share:ann", "share:bob", "share:cat"}
	deposit := func(member string, amount int64) []ledger.Transfer {
		return []ledger.Transfer{move("world", "pot:trip", amount), move("share:all", member, amount)}
	}
	sum := func() (n int64) {
		for _, m := range members {
			n += balance(t, db, m).Posted
		}
		return n
	}
	for i, m := range members {
		mustRoom(t, db, at, deposit(m, int64(100*(i+1)))...)
	}
	spend := ledger.Transfer{ID: id(), Legs: []ledger.Leg{eur("pot:trip", -100), eur("wallet:hotel", 100)}}
	shares := ledger.Transfer{ID: id(), Legs: []ledger.Leg{eur(members[0], -34), eur(members[1], -33), eur(members[2], -33), eur("share:all", 100)}}
	mustRoom(t, db, at, spend, shares)
	won := atOnce(t, 20, ledger.ErrInsufficient, func(int) error {
		return room(t, db, at, move("pot:trip", "wallet:shop", 90), move(members[2], "share:all", 90))
	})
	if pot := balance(t, db, "pot:trip").Posted; won != 5 || pot != 50 || sum() != pot {
		t.Errorf("%d spent, pot %d, shares %d", won, pot, sum())
	}
}

// playBudget: the budget's floor decides, whoever comes at once.
func playBudget(t *testing.T, db *sqldb.DB) {
	mustRoom(t, db, at, move("world", "promo:spring", 1000))
	won := atOnce(t, 50, ledger.ErrInsufficient, func(i int) error {
		grant := move("promo:spring", fmt.Sprintf("user:%d", i), 30)
		grant.Reference = fmt.Sprintf("promo:spring/pay_%d", i) // once for a purchase
		return room(t, db, at, grant)
	})
	if left := balance(t, db, "promo:spring").Posted; won != 33 || left != 10 {
		t.Errorf("%d grants, %d left", won, left)
	}
}

// playCode: the code's reference is unique, so that one claim wins.
func playCode(t *testing.T, db *sqldb.DB) {
	mustRoom(t, db, at, move("world", "packet:1", 88))
	claim := func(phone string) ledger.Transfer {
		tr := move("packet:1", "phone:"+phone, 44)
		tr.Reference = "code/8a7f"
		return tr
	}
	won := atOnce(t, 2, ledger.ErrDuplicate, func(i int) error { return room(t, db, at, claim(fmt.Sprint(i))) })
	left := balance(t, db, "packet:1").Posted
	if got := balance(t, db, "phone:0").Posted + balance(t, db, "phone:1").Posted; won != 1 || got != 44 || left != 44 {
		t.Errorf("%d claims, %d paid, %d left", won, got, left)
	}
}

// playLimit: what was spent in the last hour is held on an account with a
// ceiling by pending transfers that expire with the window.
func playLimit(t *testing.T, db *sqldb.DB) {
	mustRoom(t, db, at, move("world", "user:spender", 1000))
	spend := func(now time.Time, amount int64) error {
		used := ledger.Transfer{ID: id(), Kind: ledger.Pending, Legs: []ledger.Leg{eur("world:limits", -amount), eur("limit:spender", amount)}, ExpiresAt: now.Add(time.Hour)}
		return room(t, db, now, move("user:spender", "shop:limited", amount), used)
	}
	if won := atOnce(t, 10, ledger.ErrCeiling, func(int) error { return spend(at, 30) }); won != 3 {
		t.Errorf("%d of 30 within a limit of 100", won)
	}
	if err := spend(at.Add(59*time.Minute), 20); !errors.Is(err, ledger.ErrCeiling) {
		t.Errorf("before the window ends: %v", err)
	}
	later := at.Add(time.Hour)
	var expired []string
	if err := db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
		expired, err = ledger.Expired(tx, later, 100)
		return err
	}); err != nil || len(expired) != 3 {
		t.Fatalf("expired %v, %v", expired, err)
	}
	for _, of := range expired {
		mustRoom(t, db, later, ledger.Transfer{ID: id(), Kind: ledger.Void, Resolves: of})
	}
	if err := spend(later, 100); err != nil {
		t.Errorf("in a new window: %v", err)
	}
	if shop := balance(t, db, "shop:limited").Posted; shop != 190 {
		t.Errorf("the shop got %d", shop)
	}
}

// playMeter: the hold covers the dearest ride, the post takes what was used.
func playMeter(t *testing.T, db *sqldb.DB) {
	mustRoom(t, db, at, move("world", "user:rider", 500))
	ride := ledger.Transfer{ID: id(), Kind: ledger.Pending, Legs: []ledger.Leg{eur("user:rider", -300), eur("meter:cab", 300)}, ExpiresAt: at.Add(time.Hour)}
	mustRoom(t, db, at, ride)
	if err := room(t, db, at, move("user:rider", "meter:other", 201)); !errors.Is(err, ledger.ErrInsufficient) {
		t.Errorf("beside the hold: %v", err)
	}
	used := ledger.Transfer{ID: id(), Kind: ledger.Post, Resolves: ride.ID, Legs: []ledger.Leg{eur("user:rider", -123), eur("meter:cab", 123)}}
	mustRoom(t, db, at.Add(time.Minute), used)
	if r, c := balance(t, db, "user:rider"), balance(t, db, "meter:cab"); r.Available() != 377 || r.PendingOut != 0 || c.Posted != 123 || c.PendingIn != 0 {
		t.Errorf("rider %+v, cab %+v", r, c)
	}
}
