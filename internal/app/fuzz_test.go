package app_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/internal/app"
	"parley/internal/config"
)

// FuzzREST sends bodies to the writes of a real node with a server key. Whatever
// comes, the answer is JSON, nothing fails inside, and the ledger stays right.
func FuzzREST(f *testing.F) {
	dir := f.TempDir()
	cfg, err := config.Load("", nil, append(app.DevSettings(dir, 0), "hub.drain_time=1s", "turn.enabled=false", "media.enabled=false"))
	if err != nil {
		f.Fatal(err)
	}
	n, err := app.New(f.Context(), app.Options{Config: cfg, Dev: true})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan app.Info, 1), make(chan error, 1)
	go func() { ended <- n.Run(ctx, func(i app.Info) error { ready <- i; return nil }) }()
	f.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Errorf("node ended: %v", err)
		}
		cfg := config.Default()
		cfg.Database.URL = dir + "/parley.db"
		if err := app.CheckLedger(context.Background(), cfg, io.Discard); err != nil {
			f.Errorf("ledger: %v", err)
		}
	})
	info := <-ready
	paths := []string{
		"/v1/payments", "/v1/payments/pay_x/hold", "/v1/payments/pay_x/capture", "/v1/payments/pay_x/refund", "/v1/sandbox/fund", "/v1/links",
		"/v1/requests", "/v1/payouts", "/v1/topups", "/v1/conversions", "/v1/ledger/transfers", "/v1/ledger/accounts", "/v1/webhooks", "/v1/conversations", "/v1/calls",
	}
	for i, body := range []string{
		`{"payer":"buyer","payee":"seller","amount":1000,"currency":"EUR"}`, `{"version":1}`, `{"amount":1}`, `{"amount":-1}`,
		`{"user":"buyer","amount":100,"currency":"EUR"}`, `{"amount":9223372036854775808}`, `{"amount":1e3,"currency":"JPY"}`, `{"amount":0.5}`,
		`{"payers":[{"user":"mira"},{"user":"jonas"}],"payee":"lea","split":"equal","amount":7,"currency":"EUR"}`,
		`{"transfers":[{"legs":[{"account":"app:a","currency":"EUR","amount":-1},{"account":"app:b","currency":"EUR","amount":1}]}]}`,
		`{"url":"http://127.0.0.1:1/"}`, `{"kind":"group","members":["buyer","seller"]}`, `[]`, `null`, `{"payer":"\u0000"}`, `{"memo":"4111 1111 1111 1111"}`,
	} {
		f.Add(uint8(i%len(paths)), "key-1", []byte(body))
	}
	client := &http.Client{Transport: &http.Transport{}}
	f.Cleanup(client.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, path uint8, key string, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, info.URL+paths[int(path)%len(paths)], strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+info.Keys.Secret)
		req.Header.Set("Idempotency-Key", headerText(key))
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		_ = res.Body.Close() // read to its end
		if err != nil || len(answer) == 0 || answer[0] != '{' || !strings.Contains(res.Header.Get("Content-Type"), "json") {
			t.Fatalf("%d %q, %v", res.StatusCode, answer, err)
		}
		if res.StatusCode >= 500 && res.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", res.StatusCode, answer)
		}
	})
}

// headerText keeps what may stand in a header.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, s)
}
