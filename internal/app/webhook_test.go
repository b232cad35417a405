package app_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// notice is what a backend reads from a webhook.
type notice struct {
	ID, Source, Type, Subject string
	Seq                       int
	Data                      struct {
		Change  string
		Payment struct{ ID, State string }
	}
}

// backend is an app's server that believes only what is signed with its secret.
func backend(t *testing.T, secret <-chan string) (url string, heard <-chan notice) {
	t.Helper()
	got := make(chan notice, 16)
	key := make(chan []byte, 1)
	go func() {
		k, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(<-secret, "whsec_"))
		if err != nil {
			t.Error(err)
		}
		key <- k
	}()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		k := <-key
		key <- k
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); strings.Fields(r.Header.Get("webhook-signature"))[0] != want {
			t.Errorf("signature %q", r.Header.Get("webhook-signature"))
		}
		var n notice
		if err := json.Unmarshal(body, &n); err != nil || n.ID != r.Header.Get("webhook-id") {
			t.Errorf("%v, id %q in %s", err, r.Header.Get("webhook-id"), body)
		}
		got <- n
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestWebhook_CurlStoryIsToldInOrder(t *testing.T) {
	n := start(t, t.TempDir())
	secret := make(chan string, 1)
	url, heard := backend(t, secret)
	var hook struct{ ID, Secret string }
	err := n.server("").Do(t.Context(), "POST", "/v1/webhooks", "", map[string]any{"url": url, "events": []string{"payment.*"}}, &hook)
	secret <- hook.Secret
	if err != nil || !strings.HasPrefix(hook.ID, "whe_") {
		t.Fatalf("%+v, %v", hook, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", block(t, "../../README.md", "curl")) //nolint:gosec // our own README
	cmd.Env = append(os.Environ(), "URL="+n.info.URL, "KEY="+n.info.Keys.Secret)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	payment := ""
	for i, change := range []string{"requested", "held", "captured"} {
		select {
		case got := <-heard:
			if i == 0 {
				payment = got.Data.Payment.ID
			}
			if got.Type != "payment."+change || got.Seq != i+1 || got.Subject != payment || got.Source != n.info.URL || got.Data.Change != change || got.Data.Payment.State != change {
				t.Errorf("%d: %+v, want payment.%s of %s", i+1, got, change, payment)
			}
		case <-ctx.Done():
			t.Fatalf("did not hear of %s", change)
		}
	}
}

func TestWebhook_OnlyServersHaveThem(t *testing.T) {
	n := start(t, t.TempDir())
	p := n.join("buyer", "b1")
	for _, method := range []string{"webhooks.create", "webhooks.list", "webhooks.get", "webhooks.update", "webhooks.delete", "webhooks.rotate", "webhooks.test", "deliveries.list", "deliveries.replay"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := p.conn.Call(ctx, method, map[string]any{"webhook": "whe_x", "url": "https://shop.example", "since": time.Now()}, nil)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("%s: %v", method, err)
		}
	}
}
