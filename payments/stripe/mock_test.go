package stripe_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/payments"
	"parley/payments/stripe"
)

// mockModule is Stripe's own double of its API. It holds every request to
// Stripe's OpenAPI document.
const mockModule = "github.com/stripe/stripe-mock@v0.197.0"

var mockURL string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		stop, err := startMock()
		if err != nil {
			panic(err)
		}
		defer stop()
		code := m.Run()
		http.DefaultClient.CloseIdleConnections()
		if err := goleak.Find(); err != nil && code == 0 {
			println(err.Error())
			return 1
		}
		return code
	}())
}

// startMock builds the double into a temporary folder and starts it on a free port.
func startMock() (stop func(), err error) {
	dir, err := os.MkdirTemp("", "stripe-mock")
	if err != nil {
		return nil, err
	}
	build := exec.Command("go", "install", mockModule)
	build.Dir = dir // outside of our module: the double's own go.mod counts
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(err, errors.New(string(out)), os.RemoveAll(dir))
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(at)
	mock := exec.Command(filepath.Join(dir, "stripe-mock"), "-http-port", port) //nolint:gosec // just built
	mock.Env = []string{}
	if err := mock.Start(); err != nil {
		return nil, err
	}
	mockURL = "http://" + at
	stop = func() {
		_ = mock.Process.Kill()
		_ = mock.Wait() // killed
		_ = os.RemoveAll(dir)
	}
	if err := awaitMock(at); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// awaitMock waits until the double accepts connections.
func awaitMock(at string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

func newRail(t *testing.T, url string) *stripe.Rail {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	rail, err := stripe.New(stripe.Config{Key: "sk_test_123", WebhookSecret: "whsec_test", URL: url, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return rail
}

func order(action payments.RailAction) payments.RailOrder {
	o := payments.RailOrder{Action: action, Reference: "ord_01jd0000000000000000000000", User: "buyer", Amount: 1500, Currency: "USD",
		Account: "pm_card_visa", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	switch action {
	case payments.RailCapture, payments.RailVoid, payments.RailRefund:
		o.Of = "pi_123"
	case payments.RailPayout:
		o.Account = "ba_123"
	}
	return o
}

// answers is a transport that keeps the statuses of answers.
type answers struct {
	http.RoundTripper
	statuses []int
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.RoundTripper.RoundTrip(r)
	if err == nil {
		a.statuses = append(a.statuses, resp.StatusCode)
	}
	return resp, err
}

// TestMock_TakesEveryRequest: Stripe's double holds path, fields and types of
// all calls to Stripe's own document. It has no state and answers with
// fixtures, so an outcome counts only where the fixture echoes the order.
func TestMock_TakesEveryRequest(t *testing.T) {
	connected := order(payments.RailPayout)
	connected.Account = "acct_123"
	for name, tt := range map[string]struct {
		order payments.RailOrder
		want  payments.RailOutcome // without id; empty: the fixture is about something else
	}{
		"fund":      {order(payments.RailFund), payments.RailOutcome{Status: payments.RailRefused, Reason: "MS03"}},
		"authorise": {order(payments.RailAuthorise), payments.RailOutcome{Status: payments.RailRefused, Reason: "MS03"}},
		"capture":   {order(payments.RailCapture), payments.RailOutcome{}},
		"void":      {order(payments.RailVoid), payments.RailOutcome{}},
		"refund":    {order(payments.RailRefund), payments.RailOutcome{Status: payments.RailDone}},
		"payout":    {order(payments.RailPayout), payments.RailOutcome{Status: payments.RailPending, Reason: "in_transit"}},
		"transfer":  {connected, payments.RailOutcome{Status: payments.RailDone}},
	} {
		t.Run(name, func(t *testing.T) {
			wire := &answers{RoundTripper: &http.Transport{DisableKeepAlives: true}}
			rail, err := stripe.New(stripe.Config{Key: "sk_test_123", URL: mockURL, Client: &http.Client{Transport: wire}})
			if err != nil {
				t.Fatal(err)
			}
			out, err := rail.Order(t.Context(), tt.order)
			if out.ID == "" || tt.want.Status != "" && err != nil {
				t.Errorf("order: %+v, %v", out, err)
			}
			_, _ = rail.Find(t.Context(), tt.order, out.ID) // the fixture is about another amount
			if _, err := rail.Find(t.Context(), tt.order, ""); err != nil && tt.want.Status != "" {
				t.Errorf("find by reference: %v", err)
			}
			if out.ID = ""; tt.want.Status != "" && out != tt.want {
				t.Errorf("order: %+v, want %+v", out, tt.want)
			}
			if want := []int{200, 200, 200}; !slices.Equal(wire.statuses, want) {
				t.Errorf("answers %v, want %v", wire.statuses, want)
			}
		})
	}
}

// TestMock_RefusesWhatStripeDoesNotKnow shows that the double looks at what it is sent.
func TestMock_RefusesWhatStripeDoesNotKnow(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, mockURL+"/v1/refunds", strings.NewReader("surprise=1"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_123")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, %v", resp.StatusCode, err)
	}
}
