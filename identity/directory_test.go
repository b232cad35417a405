package identity_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/identity"
	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

func TestDirectory_SeenMakesARowAndTakesOverNames(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		clk := &clock.Shifted{}
		d := identity.NewDirectory(db, clk, identity.DirectoryConfig{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := d.Seen(t.Context(), "vera", "Vera"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		first, err := d.Get(t.Context(), "vera")
		if err != nil || first.Name != "Vera" || first.VerifiedName != "" || first.Restricted {
			t.Fatalf("got %+v, %v", first, err)
		}
		clk.Advance(48 * time.Hour)
		if err := d.Seen(t.Context(), "vera", ""); err != nil {
			t.Fatal(err)
		}
		if err := d.Seen(t.Context(), "vera", "Vera S."); err != nil {
			t.Fatal(err)
		}
		again, err := d.Get(t.Context(), "vera")
		if err != nil || again.Name != "Vera S." || !again.CreatedAt.Equal(first.CreatedAt) {
			t.Errorf("got %+v, %v", again, err)
		}
		if age := again.AccountAge(clk.Now()); age < 48*time.Hour || age > 49*time.Hour {
			t.Errorf("account age is %v", age)
		}
	})
}

func TestDirectory_TheVerifiedNameIsShownAndOnlyServersSetIt(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	verified, country, yes := "V. Seller", "AT", true
	change := identity.UserChange{Name: "Vera", VerifiedName: &verified, Country: &country, Restricted: &yes}
	_, err := w.users.Put(t.Context(), person("seller"), "seller", change)
	w.want("a person", err, identity.ErrServersOnly)
	server := wire.Caller{Role: wire.RoleServer}
	u, err := w.users.Put(t.Context(), server, "seller", change)
	if err != nil || u.VerifiedName != verified || u.Country != country || !u.Restricted {
		t.Fatalf("got %+v, %v", u, err)
	}
	if u, err = w.users.Put(t.Context(), server, "seller", identity.UserChange{Name: "Vera"}); err != nil || u.VerifiedName != verified || !u.Restricted {
		t.Errorf("what was not named changed: %+v, %v", u, err)
	}
	if err := w.users.Seen(t.Context(), "seller", "The Bank"); err != nil {
		t.Fatal(err)
	}
	if name, err := w.users.ShownName(t.Context(), "seller"); err != nil || name != verified {
		t.Errorf("shown as %q, %v", name, err)
	}
	names, err := w.users.Names(t.Context(), []wire.UserID{"buyer", "seller", "nobody"})
	if err != nil || names["buyer"] != "buyer" || names["seller"] != verified || names["nobody"] != "nobody" {
		t.Errorf("names are %v, %v", names, err)
	}
	err = w.db.View(t.Context(), func(tx *sqldb.Tx) error {
		name, err := w.users.ShownNameTx(tx, "seller")
		if name != verified {
			t.Errorf("shown as %q in a transaction", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "  ", "\u202eknaB"} {
		_, err := w.users.Put(t.Context(), server, "seller", identity.UserChange{Name: "Vera", VerifiedName: &bad})
		if bad != "" {
			w.want("verified name "+bad, err, identity.ErrNameInvalid)
		} else if err != nil {
			t.Errorf("taking the verified name away: %v", err)
		}
	}
}

func TestDirectory_NamesCannotHideWhatTheyAre(t *testing.T) {
	d := identity.NewDirectory(sqldbtest.Open(t, schemas()), clock.System{}, identity.DirectoryConfig{})
	for claim, want := range map[string]string{
		"\u202eknaB\u202c":       "knaB",
		"A\x00B\nC\u2066":        "ABC",
		"  Žofie  ":              "Žofie",
		"\xffBad":                "Bad",
		strings.Repeat("é", 300): strings.Repeat("é", 100),
	} {
		if err := d.Seen(t.Context(), "x", claim); err != nil {
			t.Fatal(err)
		}
		if u, err := d.Get(t.Context(), "x"); err != nil || u.Name != want {
			t.Errorf("%q became %q, %v", claim, u.Name, err)
		}
	}
}

// friends implements identity.Relations.
type friends map[wire.UserID]wire.UserID

func (f friends) Related(_ context.Context, a, b wire.UserID) (bool, error) {
	return f[a] == b || f[b] == a, nil
}

func TestDirectory_StrangersLookLikeNobody(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	d := identity.NewDirectory(w.db, w.clock, identity.DirectoryConfig{Relations: friends{"buyer": "seller"}})
	for _, u := range []wire.UserID{"buyer", "seller", "mallory"} {
		if err := d.Seen(t.Context(), u, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		caller wire.Caller
		user   wire.UserID
		want   error
	}{
		{person("buyer"), "seller", nil}, {person("seller"), "buyer", nil}, {person("mallory"), "mallory", nil},
		{wire.Caller{Role: wire.RoleServer}, "mallory", nil},
		{person("mallory"), "seller", identity.ErrUserUnknown}, {person("buyer"), "nobody", identity.ErrUserUnknown},
	} {
		_, err := d.Find(t.Context(), c.caller, c.user)
		w.want(string(c.caller.User)+" finds "+string(c.user), err, c.want)
	}
	_, err := d.Me(t.Context(), wire.Caller{Role: wire.RoleServer})
	w.want("a server key for nobody", err, identity.ErrUserUnknown)
}

func TestDirectory_AnotherNodesChangeIsSeenSoon(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	here := identity.NewDirectory(w.db, w.clock, identity.DirectoryConfig{NamesMax: 1})
	if name, err := here.ShownName(t.Context(), "seller"); err != nil || name != "seller" {
		t.Fatal(name, err)
	}
	if err := w.users.Seen(t.Context(), "seller", "Vera"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(31 * time.Second)
	if name, err := here.ShownName(t.Context(), "seller"); err != nil || name != "Vera" {
		t.Errorf("after half a minute it is still %q, %v", name, err)
	}
	if _, err := here.Names(t.Context(), []wire.UserID{"buyer", "seller"}); err != nil { // more than it may remember
		t.Error(err)
	}
}

func TestRun_RemovesWhatHasEnded(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	if _, err := w.passkeys.RegisterBegin(t.Context(), person("buyer")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.submit("buyer", w.sign("buyer", w.open("buyer"))); err != nil {
		t.Fatal(err)
	}
	w.open("seller") // never used
	w.clock.Advance(25 * time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := &identity.Service{Directory: w.users, Passkeys: w.passkeys, Confirmations: w.confirm, Evidence: w.evidence}
	go func() { ended <- s.Run(ctx, w.clock, nil) }()
	deadline := time.After(10 * time.Second)
	for w.count("SELECT count(*) FROM identity_ceremonies")+w.count("SELECT count(*) FROM identity_nonces WHERE used_ms = 0") > 0 {
		w.clock.Advance(time.Minute)
		select {
		case <-deadline:
			t.Fatal("nothing was removed")
		default:
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := w.count("SELECT count(*) FROM identity_nonces"); n != 1 {
		t.Errorf("%d used nonces are left, want 1", n)
	}
}
