package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/config"
	"parley/internal/load"
	"parley/wire"
)

// The load drivers see every message once and in order, on sockets that share
// frames and at several under way.
func TestLoad_NothingIsLostDoubledOrReordered(t *testing.T) {
	n := start(t, t.TempDir(), "hub.rate=1000000", "hub.burst=1000000", "limits.rules=")
	target := load.Target{URL: n.info.URL, SocketURL: n.info.SocketURL, PID: n.info.PID, Mint: func(u wire.UserID) (string, error) {
		return app.MintToken(config.Config{}, true, string(u), "", time.Hour.String(), &wire.TopicGrants{Join: []string{"load:**"}, Publish: []string{"load:**"}})
	}}
	for name, run := range map[string]func(context.Context) (load.Result, error){
		"chat": func(ctx context.Context) (load.Result, error) {
			return load.Chat(ctx, target, load.PairConfig{Conns: 20, Seconds: 0.3})
		},
		"signal": func(ctx context.Context) (load.Result, error) {
			return load.Signal(ctx, target, load.PairConfig{Conns: 20, Seconds: 0.3})
		},
		"signal, several under way": func(ctx context.Context) (load.Result, error) {
			return load.Signal(ctx, target, load.PairConfig{Conns: 20, Inflight: 8, Seconds: 0.3})
		},
		"fanout": func(ctx context.Context) (load.Result, error) {
			return load.Fanout(ctx, target, load.FanoutConfig{Subs: 60, Inflight: 4, Seconds: 0.3})
		},
		"fanout over a group": func(ctx context.Context) (load.Result, error) {
			return load.Fanout(ctx, target, load.FanoutConfig{Subs: 60, Inflight: 4, Seconds: 0.3, Group: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(name, r.Bench) || r.Units == 0 || r.UnitsPerS == 0 || r.P99MS < r.P50MS || r.Lost+r.Doubled+r.Reordered+r.Errors != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Who holds no server key cannot look into the process.
func TestDebug_NeedsAServerKey(t *testing.T) {
	n := start(t, t.TempDir())
	for name, tt := range map[string]struct {
		method, path, bearer string
		status               int
	}{
		"nobody collects":      {http.MethodPost, "/debug/collect", "", http.StatusUnauthorized},
		"a user collects":      {http.MethodPost, "/debug/collect", n.token("buyer"), http.StatusUnauthorized},
		"a server key":         {http.MethodPost, "/debug/collect", n.info.Keys.Secret, http.StatusNoContent},
		"a user's profile":     {http.MethodGet, "/debug/pprof/heap", n.token("buyer"), http.StatusUnauthorized},
		"a server key's":       {http.MethodGet, "/debug/pprof/goroutine", n.info.Keys.Secret, http.StatusOK},
		"nothing of that name": {http.MethodGet, "/debug/vars", n.info.Keys.Secret, http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, n.info.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.bearer != "" {
			req.Header.Set("Authorization", "Bearer "+tt.bearer)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", name, resp.Status, tt.status)
		}
	}
}
