package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestListen_ForwardsWhatIsTriggeredAndCleansUp(t *testing.T) {
	info, _ := serve(t, "--ephemeral")
	heard := make(chan string, 4)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- r.Header.Get("webhook-signature") + " " + string(body)
	}))
	t.Cleanup(app.Close)
	if code, _, out := run(t, nil, "trigger", "webhook.test", "--url", info.URL); code != 1 || !strings.Contains(out, "no webhook") {
		t.Errorf("trigger without a webhook: %d %s", code, out)
	}
	if code, _, out := run(t, nil, "listen", "--forward-to", "nowhere", "--url", info.URL); code != 1 || !strings.Contains(out, "want a URL") {
		t.Errorf("listen to nowhere: %d %s", code, out)
	}

	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	code := make(chan int, 1)
	go func() {
		code <- (&program{Stdout: w, Stderr: t.Output()}).Run(ctx, []string{"listen", "--url", info.URL, "--forward-to", app.URL})
		_ = w.Close()
	}()
	lines := bufio.NewReader(r)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "whsec_") {
		t.Fatalf("said %q, %v", line, err)
	}
	if code, out, errOut := run(t, nil, "trigger", "payment.captured", "--url", info.URL); code != 0 || !strings.Contains(out, "payment.captured happened to pay_") {
		t.Fatalf("trigger: %d %s %s", code, out, errOut)
	}
	for _, event := range []string{"payment.requested", "payment.held", "payment.captured"} {
		select {
		case got := <-heard:
			if !strings.HasPrefix(got, "v1,") || !strings.Contains(got, `"type":"`+event+`"`) || !strings.Contains(got, `"amount":1234`) {
				t.Errorf("forwarded %s, want %s", got, event)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was forwarded")
		}
		if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, event) || !strings.HasSuffix(line, "-> 200\n") {
			t.Errorf("said %q, %v", line, err)
		}
	}
	replays(t, info.URL, lines)
	if code, out, errOut := run(t, nil, "trigger", "call.ended", "--url", info.URL); code != 0 || !strings.Contains(out, "sent to 1") {
		t.Errorf("a test event: %d %s %s", code, out, errOut)
	}
	cancel()
	_, _ = io.Copy(io.Discard, lines) // until the program has ended
	if c := <-code; c != 0 {
		t.Errorf("exit %d", c)
	}
	if code, _, out := run(t, nil, "trigger", "webhook.test", "--url", info.URL); code != 1 || !strings.Contains(out, "no webhook") {
		t.Errorf("the webhook is still there: %d %s", code, out)
	}
}

// replays delivers the three events again, by the commands' own output.
func replays(t *testing.T, url string, lines *bufio.Reader) {
	t.Helper()
	_, out, _ := run(t, nil, "webhooks", "list", "--url", url)
	id, _, _ := strings.Cut(out, " ")
	look := time.NewTicker(20 * time.Millisecond) // what was printed is written down a moment later
	defer look.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-look.C {
		code, out, errOut := run(t, nil, "webhooks", "deliveries", id, "--url", url, "--state", "succeeded")
		if code == 0 && strings.Count(out, "\n") == 3 && strings.Contains(out, "1 tries, last 200") {
			break
		}
		if code != 0 || time.Now().After(deadline) {
			t.Fatalf("deliveries: %d %s %s", code, out, errOut)
		}
	}
	if code, out, errOut := run(t, nil, "webhooks", "replay", id, "--url", url, "--since", "1h"); code != 0 || !strings.Contains(out, "3 will be") {
		t.Errorf("replay: %d %s %s", code, out, errOut)
	}
	for range 3 {
		if line, err := lines.ReadString('\n'); err != nil || !strings.HasSuffix(line, "-> 200\n") {
			t.Errorf("said %q, %v", line, err)
		}
	}
	if code, _, errOut := run(t, nil, "webhooks", "replay", id, "--url", url); code != 1 || !strings.Contains(errOut, "say what") {
		t.Errorf("replay of nothing: %d %s", code, errOut)
	}
}

func TestTrigger_EveryEventOfAPaymentHappens(t *testing.T) {
	info, _ := serve(t, "--ephemeral")
	for event := range triggerSteps {
		if code, out, errOut := run(t, nil, "trigger", event, "--url", info.URL); code != 0 || !strings.Contains(out, event+" happened") {
			t.Errorf("%s: %d %s %s", event, code, out, errOut)
		}
	}
	if code, _, errOut := run(t, nil, "trigger", "payment.vanished", "--url", info.URL); code != 1 || !strings.Contains(errOut, "payment.refunded") {
		t.Errorf("an event that there is not: %d %s", code, errOut)
	}
}
