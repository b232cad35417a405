package auth_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"parley/internal/auth"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

// ids lists a user's devices.
func ids(t *testing.T, d *auth.Devices, user wire.UserID) (list []wire.DeviceID) {
	t.Helper()
	found, err := d.List(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		list = append(list, f.ID)
	}
	return list
}

func TestDevices_AreListedUntilTheyAreSignedOut(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"auth": auth.Schema()}, func(t *testing.T, db *sqldb.DB) {
		w := newWorldOn(t, db, auth.Config{Secret: secret})
		d, other := auth.NewDevices(w.Verifier), auth.NewDevices(w.Verifier)
		d.Note("ann", "dev_1")
		w.clock.Advance(time.Minute)
		other.Note("ann", "dev_2")
		d.Note("bob", "dev_3")
		d.Note("", "dev_4")
		ids(t, other, "ann") // writes what the other node has noted
		if got := ids(t, d, "ann"); !slices.Equal(got, []wire.DeviceID{"dev_2", "dev_1"}) {
			t.Errorf("ann has %v", got)
		}
		w.clock.Advance(time.Hour)
		d.Note("ann", "dev_1")
		list, err := d.List(t.Context(), "ann")
		if err != nil || list[0].ID != "dev_1" || list[0].Last.Sub(list[0].First) < time.Hour {
			t.Errorf("after an hour: %+v, %v", list, err)
		}
		token, err := w.Mint("ann", time.Hour, auth.MintOptions{Device: "dev_1"})
		if err != nil {
			t.Fatal(err)
		}
		issued := w.clock.Now().Truncate(time.Second)
		w.clock.Advance(2 * time.Second)
		if err := d.SignOut(t.Context(), "ann", "dev_1"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrRevoked) {
			t.Errorf("its token: %v", err)
		}
		if !w.SignedOut("ann", "dev_1", issued) || w.SignedOut("ann", "dev_2", issued) || w.SignedOut("ann", "dev_1", w.clock.Now().Add(time.Second)) {
			t.Error("signed out is the wrong device or time")
		}
		if got := ids(t, d, "ann"); !slices.Equal(got, []wire.DeviceID{"dev_2"}) {
			t.Errorf("ann has %v", got)
		}
		d.Note("ann", "dev_1") // signed in again
		if got := ids(t, d, "ann"); len(got) != 2 {
			t.Errorf("ann has %v", got)
		}
		if err := d.SignOut(t.Context(), "ann", ""); err != nil {
			t.Fatal(err)
		}
		if got := ids(t, d, "ann"); len(got) != 0 || len(ids(t, d, "bob")) != 1 {
			t.Errorf("ann has %v", got)
		}
	})
}

func TestDevices_AreWrittenAtTheEnd(t *testing.T) {
	w := newWorld(t, auth.Config{Secret: secret})
	d := auth.NewDevices(w.Verifier)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.Note("ann", "dev_1")
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, auth.NewDevices(w.Verifier), "ann"); len(got) != 1 {
		t.Errorf("ann has %v", got)
	}
}
