package webhook_test

import (
	"context"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/webhook"
)

func TestWanted_FollowsTheEndpoints(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{Poll: 20 * time.Millisecond})
		run(t, k.Service)
		settles := func(want bool) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for k.Wanted("message.created") != want {
				if ctx.Err() != nil {
					t.Fatalf("wanted stays %v", !want)
				}
				k.Wake()
			}
		}
		settles(false)
		e := k.create("http://127.0.0.1:9/", "message.*")
		if !k.Wanted("message.created") {
			t.Error("what a new endpoint wants counts at once")
		}
		settles(true)
		off := true
		if _, err := k.Update(t.Context(), server, e.ID, webhook.Change{Disabled: &off}); err != nil {
			t.Fatal(err)
		}
		settles(false)
	})
}
