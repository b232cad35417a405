package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestClientAddr_BelievesTrustedProxiesOnly(t *testing.T) {
	ps, err := parseProxies([]string{"10.0.0.0/8", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, from string
		forwarded  []string
		want       string
	}{
		{"a stranger's word", "192.0.2.1:80", []string{"198.51.100.7"}, "192.0.2.1:80"},
		{"a proxy's", "10.0.0.1:80", []string{"198.51.100.7"}, "198.51.100.7:0"},
		{"a proxy that says nothing", "10.0.0.1:80", nil, "10.0.0.1:80"},
		{"what the client made up", "10.0.0.1:80", []string{"127.0.0.1, 203.0.113.9, 198.51.100.7"}, "198.51.100.7:0"},
		{"two proxies", "10.0.0.1:80", []string{"127.0.0.1, 198.51.100.7", "10.9.9.9"}, "198.51.100.7:0"},
		{"nonsense left of a proxy", "10.0.0.1:80", []string{"unknown, 10.9.9.9"}, "10.9.9.9:0"},
		{"nonsense", "10.0.0.1:80", []string{"' OR 1=1"}, "10.0.0.1:80"},
		{"mapped addresses", "[::ffff:10.0.0.1]:80", []string{"::ffff:198.51.100.7"}, "198.51.100.7:0"},
		{"IPv6", "[fd00::1]:80", []string{"2001:db8::7"}, "[2001:db8::7]:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.from
			for _, f := range c.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			var got string
			withClientAddr(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }), ps).ServeHTTP(nil, r)
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	if _, err := parseProxies([]string{"10.0.0.1"}); err == nil {
		t.Error("an address without a length was taken for a prefix")
	}
}
