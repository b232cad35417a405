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
	if code, _, out := run(t, nil, "trigger", "payment.captured", "--url", info.URL); code != 1 || !strings.Contains(out, "no webhook") {
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
	if code, out, errOut := run(t, nil, "trigger", "payment.captured", "--url", info.URL); code != 0 || !strings.Contains(out, "sent to 1") {
		t.Fatalf("trigger: %d %s %s", code, out, errOut)
	}
	select {
	case got := <-heard:
		if !strings.HasPrefix(got, "v1,") || !strings.Contains(got, `"type":"payment.captured"`) {
			t.Errorf("forwarded %s", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was forwarded")
	}
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "payment.captured") || !strings.HasSuffix(line, "-> 200\n") {
		t.Errorf("said %q, %v", line, err)
	}
	cancel()
	_, _ = io.Copy(io.Discard, lines) // until the program has ended
	if c := <-code; c != 0 {
		t.Errorf("exit %d", c)
	}
	if code, _, out := run(t, nil, "trigger", "payment.captured", "--url", info.URL); code != 1 || !strings.Contains(out, "no webhook") {
		t.Errorf("the webhook is still there: %d %s", code, out)
	}
}
