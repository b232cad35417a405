package webhook

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestPublic_RefusesWhatIsNotTheInternet(t *testing.T) {
	for text, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "0.0.0.0": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "168.63.129.16": false, "100.100.100.200": false, "192.0.0.192": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "fc00::1": false, "fec0::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:0:7f00:1::": false, "2001:db8::1": false, "100::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestParseURL_RefusesWhereNothingMayBeSent(t *testing.T) {
	for _, text := range []string{
		"", "shop.example", "http://shop.example", "ftp://shop.example", "https:shop.example", "https://", "https:///x", "https://:443", "https://a:b@shop.example",
		"https://shop.example/#x", "https://shop.example:0", "https://shop.example:99999", "https://shop.example:", "https://localhost", "https://LOCALHOST.", "https://x.localhost/",
		"https://127.0.0.1", "https://[::1]/", "https://[::ffff:169.254.169.254]/", "https://10.0.0.1:8443/", "https://[fe80::1%25eth0]/", "javascript:alert(1)", "https://a\x00b", "https://a b",
		"https://shop.example/" + strings.Repeat("x", MaxURL),
	} {
		if got, err := parseURL(text, false); !errors.Is(err, ErrURL) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"https://shop.example", "https://shop.example:8443/parley?key=1", "https://1.1.1.1/", "https://[2606:4700::1111]/x", "HTTPS://Shop.Example/"} {
		if _, err := parseURL(text, false); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := parseURL("http://127.0.0.1:9/x", true); err != nil {
		t.Errorf("in dev mode: %v", err)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"https://shop.example/x?y=1", "https://127.0.0.1", "https://[::ffff:7f00:1]:443/", "https://a:b@c#d", "https://0x7f.1", "//x", "https://[fe80::1%25a]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseURL(text, false)
		if err != nil {
			if !errors.Is(err, ErrURL) {
				t.Errorf("%q: %v is not ErrURL", text, err)
			}
			return
		}
		if again, err := parseURL(got, false); err != nil || again != got {
			if len(got) <= MaxURL { // escaping may make it longer
				t.Errorf("%q became %q, which becomes %q, %v", text, got, again, err)
			}
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
			t.Fatalf("%q: accepted %q", text, got)
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && !public(a) {
			t.Errorf("%q: accepted the address %s", text, a)
		}
		if _, err := http.NewRequest(http.MethodPost, got, nil); err != nil { //nolint:noctx // nothing is sent
			t.Errorf("%q: cannot be requested: %v", got, err)
		}
	})
}
