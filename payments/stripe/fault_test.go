package stripe_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"parley/payments"
	"parley/payments/stripe"
)

// answer is what a faulty Stripe says to one request.
type answer struct {
	status int
	header string // Retry-After or Location
	body   string
	hang   bool
}

// faulty is a Stripe that gives these answers in order, then the last again.
func faulty(t *testing.T, list ...answer) (url string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	left := list
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*asked = append(*asked, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Idempotency-Key"), body))
		a := left[0]
		if len(left) > 1 {
			left = left[1:]
		}
		if a.hang {
			<-r.Context().Done()
			return
		}
		if a.header != "" {
			w.Header().Set("Retry-After", a.header)
			w.Header().Set("Location", a.header)
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body) // the client may have gone
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func stripeError(kind, code, decline string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"code":%q,"decline_code":%q,"message":"4242 4242 4242 4242"}}`, kind, code, decline)
}

func intent(status string) string {
	return fmt.Sprintf(`{"id":"pi_1","object":"payment_intent","status":%q,"amount":1500,"metadata":{"reference":"ord_01jd0000000000000000000000"}}`, status)
}

func TestOrder_Outcomes(t *testing.T) {
	done, pending, refused := payments.RailDone, payments.RailPending, payments.RailRefused
	for _, tt := range []struct {
		name   string
		action payments.RailAction
		answer answer
		want   payments.RailStatus // empty: unknown
		reason string
	}{
		{"fund", payments.RailFund, answer{status: 200, body: intent("succeeded")}, done, ""},
		{"fund later", payments.RailFund, answer{status: 200, body: intent("processing")}, pending, "processing"},
		{"fund needs the person", payments.RailFund, answer{status: 200, body: intent("requires_action")}, pending, "requires_action"},
		{"authorise", payments.RailAuthorise, answer{status: 200, body: intent("requires_capture")}, done, ""},
		{"capture", payments.RailCapture, answer{status: 200, body: intent("succeeded")}, done, ""},
		{"void", payments.RailVoid, answer{status: 200, body: intent("canceled")}, done, ""},
		{"no funds", payments.RailAuthorise, answer{status: 402, body: stripeError("card_error", "card_declined", "insufficient_funds")}, refused, "AM04"},
		{"stolen", payments.RailAuthorise, answer{status: 402, body: stripeError("card_error", "card_declined", "stolen_card")}, refused, "AC06"},
		{"no balance to pay out", payments.RailPayout, answer{status: 400, body: stripeError("invalid_request_error", "balance_insufficient", "")}, refused, "AM04"},
		{"no such account", payments.RailPayout, answer{status: 404, body: stripeError("invalid_request_error", "resource_missing", "")}, refused, "AC01"},
		{"declined without a word", payments.RailFund, answer{status: 402, body: stripeError("card_error", "", "")}, refused, "MS03"},
		{"wrong key", payments.RailFund, answer{status: 401, body: stripeError("invalid_request_error", "", "")}, "", ""},
		{"still running", payments.RailFund, answer{status: 409, body: stripeError("idempotency_error", "idempotency_key_in_use", "")}, "", ""},
		{"key of another order", payments.RailFund, answer{status: 400, body: stripeError("idempotency_error", "", "")}, "", ""},
		{"too many", payments.RailFund, answer{status: 429, body: stripeError("rate_limit_error", "rate_limit", "")}, "", ""},
		{"broken", payments.RailFund, answer{status: 500, body: stripeError("api_error", "", "")}, "", ""},
		{"gateway", payments.RailFund, answer{status: 502, body: "<html>Bad Gateway</html>"}, "", ""},
		{"elsewhere", payments.RailFund, answer{status: 302, header: "https://example.com/"}, "", ""},
		{"half an answer", payments.RailFund, answer{status: 200, body: `{"id":"pi_1","sta`}, "", ""},
		{"not an object", payments.RailFund, answer{status: 200, body: `[]`}, "", ""},
		{"nothing", payments.RailFund, answer{status: 200, body: `{}`}, "", ""},
		{"another amount", payments.RailFund, answer{status: 200, body: strings.Replace(intent("succeeded"), "1500", "1400", 1)}, "", ""},
		{"a state of tomorrow", payments.RailFund, answer{status: 200, body: intent("teleported")}, "", ""},
	} {
		at, asked := faulty(t, tt.answer)
		out, err := newRail(t, at).Order(t.Context(), order(tt.action))
		if (err == nil) != (tt.want != "") || out.Reason != tt.reason || err == nil && out.Status != tt.want {
			t.Errorf("%s: %+v, %v; want %q %s", tt.name, out, err, tt.want, tt.reason)
		}
		if err != nil && strings.Contains(err.Error(), "4242") {
			t.Errorf("%s: the error tells what was entered: %v", tt.name, err)
		}
		if !strings.Contains((*asked)[0], " ord_01jd0000000000000000000000 ") || len(*asked) != 1 {
			t.Errorf("%s: asked %q", tt.name, *asked)
		}
	}
}

func TestOrder_NoAnswerInTime(t *testing.T) {
	at, _ := faulty(t, answer{hang: true})
	rail, err := stripe.New(stripe.Config{Key: "sk_test_1", URL: at, Client: &http.Client{Timeout: 50 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := rail.Order(t.Context(), order(payments.RailFund)); err == nil {
		t.Errorf("%+v", out)
	}
}

func TestOrder_WaitsAsLongAsItIsTold(t *testing.T) {
	at, _ := faulty(t, answer{status: 429, header: "17", body: stripeError("rate_limit_error", "", "")})
	_, err := newRail(t, at).Order(t.Context(), order(payments.RailFund))
	var busy *payments.RailBusyError
	if !errors.As(err, &busy) || busy.After != 17*time.Second {
		t.Errorf("%v", err)
	}
}

// TestOrder_DoneBefore: a capture that Stripe has done before is found, not refused.
func TestOrder_DoneBefore(t *testing.T) {
	unexpected := answer{status: 400, body: stripeError("invalid_request_error", "payment_intent_unexpected_state", "")}
	for status, want := range map[string]payments.RailOutcome{
		"succeeded": {ID: "pi_1", Status: payments.RailDone},
		"canceled":  {ID: "pi_1", Status: payments.RailRefused, Reason: "MS03"},
	} {
		at, asked := faulty(t, unexpected, answer{status: 200, body: intent(status)})
		out, err := newRail(t, at).Order(t.Context(), order(payments.RailCapture))
		if err != nil || out != want {
			t.Errorf("%s: %+v, %v, want %+v", status, out, err, want)
		}
		if len(*asked) != 2 || !strings.HasPrefix((*asked)[1], "GET /v1/payment_intents/pi_123") {
			t.Errorf("asked %q", *asked)
		}
	}
}

func TestFind_ByReferenceOnSeveralPages(t *testing.T) {
	other := `{"data":[{"id":"po_9","object":"payout","status":"paid","amount":1500,"metadata":{"reference":"ord_other"}}],"has_more":true}`
	ours := `{"data":[{"id":"po_8","object":"payout","status":"failed","amount":1500,"failure_code":"account_closed","metadata":{"reference":"ord_01jd0000000000000000000000"}}],"has_more":true}`
	at, asked := faulty(t, answer{status: 200, body: other}, answer{status: 200, body: ours})
	out, err := newRail(t, at).Find(t.Context(), order(payments.RailPayout), "")
	if want := (payments.RailOutcome{ID: "po_8", Status: payments.RailRefused, Reason: "AC04"}); err != nil || out != want {
		t.Errorf("%+v, %v, want %+v", out, err, want)
	}
	if len(*asked) != 2 || !strings.Contains((*asked)[1], "starting_after=po_9") {
		t.Errorf("asked %q", *asked)
	}
}

func TestFind_Absent(t *testing.T) {
	missing := answer{status: 404, body: stripeError("invalid_request_error", "resource_missing", "")}
	empty := answer{status: 200, body: `{"data":[],"has_more":false}`}
	for name, tt := range map[string]struct {
		order  payments.RailOrder
		id     string
		answer answer
		absent bool
	}{
		"by id":                {order(payments.RailPayout), "po_1", missing, true},
		"by reference":         {order(payments.RailFund), "", empty, true},
		"a refund":             {order(payments.RailRefund), "", empty, true},
		"not captured yet":     {order(payments.RailCapture), "", answer{status: 200, body: intent("requires_capture")}, true},
		"a path that is wrong": {order(payments.RailPayout), "po_1", answer{status: 404, body: "not here"}, false},
		"endless pages":        {order(payments.RailPayout), "", answer{status: 200, body: `{"data":[{"id":"po_1"}],"has_more":true}`}, false},
	} {
		at, _ := faulty(t, tt.answer)
		out, err := newRail(t, at).Find(t.Context(), tt.order, tt.id)
		if absent := err == nil && out.Status == payments.RailAbsent; absent != tt.absent {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}

// TestOrder_AmountsAsStripeCountsThem holds the special currencies.
func TestOrder_AmountsAsStripeCountsThem(t *testing.T) {
	for _, tt := range []struct {
		currency string
		action   payments.RailAction
		amount   int64
		want     string // the amount sent, or the reason
	}{
		{"EUR", payments.RailFund, 1234, "1234"}, {"JPY", payments.RailFund, 500, "500"},
		{"ISK", payments.RailFund, 5, "500"}, {"UGX", payments.RailFund, 5, "500"},
		{"MGA", payments.RailFund, 500, "5"}, {"MGA", payments.RailFund, 501, "AM12"},
		{"KWD", payments.RailFund, 5120, "5120"}, {"KWD", payments.RailFund, 5124, "AM12"},
		{"LYD", payments.RailFund, 5120, "AM03"},
		{"HUF", payments.RailFund, 1045, "1045"}, {"HUF", payments.RailPayout, 1045, "AM12"}, {"HUF", payments.RailPayout, 1000, "1000"},
	} {
		at, asked := faulty(t, answer{status: 500})
		o := order(tt.action)
		o.Currency, o.Amount = tt.currency, tt.amount
		out, _ := newRail(t, at).Order(t.Context(), o) // the server is broken
		got := out.Reason
		if len(*asked) > 0 {
			_, body, _ := strings.Cut((*asked)[0], "ord_01jd0000000000000000000000 ")
			form, err := url.ParseQuery(body)
			if err != nil {
				t.Fatal(err)
			}
			got = form.Get("amount")
		}
		if got != tt.want {
			t.Errorf("%s of %d %s: %s, want %s", tt.action, tt.amount, tt.currency, got, tt.want)
		}
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	for _, cfg := range []stripe.Config{{}, {Key: "sk_1", URL: "ftp://x"}, {Key: "sk_1", URL: "nonsense"}} {
		if _, err := stripe.New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}
