package webhook_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"testing"

	"parley/internal/sqldb/sqldbtest"
	"parley/webhook"
)

// names is a resolver that knows what it is told.
type names map[string][]string

// LookupNetIP implements webhook.Resolver.
func (n names) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	for _, text := range n[host] {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	if addrs == nil {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, err
}

func TestGuard_NamesThatPointInsideAreNotDialed(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{})
	rec := receive(t, nil)
	at, err := url.Parse(rec.URL)
	if err != nil {
		t.Fatal(err)
	}
	port := at.Port()
	resolver := names{
		"loopback.example": {"127.0.0.1"}, "loopback6.example": {"::1"}, "mapped.example": {"::ffff:127.0.0.1"}, "private.example": {"10.0.0.1"},
		"metadata.example": {"169.254.169.254"}, "metadata6.example": {"fd00:ec2::254"}, "mixed.example": {"1.1.1.1", "127.0.0.1"}, "zero.example": {"0.0.0.0"}, "nat64.example": {"64:ff9b::7f00:1"},
	}
	guarded := k.node(webhook.Config{}, webhook.Deps{Resolver: resolver})
	run(t, guarded)
	for host := range resolver {
		target := "https://" + host + ":" + port + "/"
		e, err := guarded.Create(t.Context(), server, webhook.Change{URL: &target})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guarded.Test(t.Context(), server, e.ID, ""); err != nil {
			t.Fatal(err)
		}
		d := k.settled(e.ID, string(k.deliveries(e.ID)[0].Event), 1)
		if d.Attempts[0].Error != "address" || d.Attempts[0].Status != 0 {
			t.Errorf("%s: %+v", host, d.Attempts)
		}
	}
	for _, target := range []string{"https://127.0.0.1:" + port, "https://localhost:" + port, "http://shop.example"} {
		if _, err := guarded.Create(t.Context(), server, webhook.Change{URL: &target}); !errors.Is(err, webhook.ErrURL) {
			t.Errorf("%s: %v", target, err)
		}
	}
	if len(rec.heard) != 0 {
		t.Error("something got through")
	}
}

// TestGuard_HoldsForWhatWasAllowedBefore gives an endpoint made in dev mode to a node that is stricter.
func TestGuard_HoldsForWhatWasAllowedBefore(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{})
	rec := receive(t, nil)
	e := k.create(rec.URL)
	run(t, k.node(webhook.Config{}, webhook.Deps{Resolver: net.DefaultResolver}))
	k.emit(k.event("a", 1))
	if d := k.settled(e.ID, "evt_a_1", 1); d.Attempts[0].Error != "address" {
		t.Errorf("%+v", d.Attempts)
	}
}
