package stripe_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/payments/stripe"
)

func sign(secret, stamp, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "." + body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestVerify(t *testing.T) {
	now := time.Unix(1_770_000_000, 0)
	body := `{"id":"evt_1"}`
	at := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	good := sign("whsec_a", at(0), body)
	for name, tt := range map[string]struct {
		secret, header string
		want           error
	}{
		"good":               {"whsec_a", "t=" + at(0) + ",v1=" + good, nil},
		"with others":        {"whsec_a", "t=" + at(0) + ",v0=ff,v1=00,v1=" + good, nil},
		"spaces":             {"whsec_a", "t=" + at(0) + ", v1=" + good, nil},
		"four minutes old":   {"whsec_a", "t=" + at(-4*time.Minute) + ",v1=" + sign("whsec_a", at(-4*time.Minute), body), nil},
		"six minutes old":    {"whsec_a", "t=" + at(-6*time.Minute) + ",v1=" + sign("whsec_a", at(-6*time.Minute), body), stripe.ErrSignatureTime},
		"of the future":      {"whsec_a", "t=" + at(6*time.Minute) + ",v1=" + sign("whsec_a", at(6*time.Minute), body), stripe.ErrSignatureTime},
		"another time":       {"whsec_a", "t=" + at(time.Second) + ",v1=" + good, stripe.ErrSignature},
		"another secret":     {"whsec_b", "t=" + at(0) + ",v1=" + good, stripe.ErrSignature},
		"no secret":          {"", "t=" + at(0) + ",v1=" + sign("", at(0), body), stripe.ErrSignature},
		"only the old v0":    {"whsec_a", "t=" + at(0) + ",v0=" + good, stripe.ErrSignature},
		"no time":            {"whsec_a", "v1=" + good, stripe.ErrSignature},
		"nothing":            {"whsec_a", "", stripe.ErrSignature},
		"too many to try":    {"whsec_a", "t=" + at(0) + strings.Repeat(",v1=00", 20) + ",v1=" + good, stripe.ErrSignature},
		"half of it":         {"whsec_a", "t=" + at(0) + ",v1=" + good[:32], stripe.ErrSignature},
		"time is no integer": {"whsec_a", "t=now,v1=" + sign("whsec_a", "now", body), stripe.ErrSignature},
	} {
		if err := stripe.Verify(tt.secret, tt.header, []byte(body), now); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestWebhook_NudgesTheOrder(t *testing.T) {
	now := fmt.Sprint(time.Now().Unix())
	var nudged []string
	var fail error
	door := newRail(t, "https://stripe.invalid").Webhook(func(_ context.Context, ref string) error {
		nudged = append(nudged, ref)
		return fail
	})
	post := func(body, signature string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Stripe-Signature", signature)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Code
	}
	signed := func(body string) int { return post(body, "t="+now+",v1="+sign("whsec_test", now, body)) }
	ours := `{"type":"payout.failed","data":{"object":{"id":"po_1","object":"payout","metadata":{"reference":"pout_1"}}}}`
	if code := signed(ours); code != 200 {
		t.Errorf("ours: %d", code)
	}
	if code := signed(`{"type":"transfer.reversed","data":{"object":{"id":"tr_1","transfer_group":"pout_2"}}}`); code != 200 {
		t.Errorf("transfer: %d", code)
	}
	if code := signed(`{"type":"customer.created","data":{"object":{"id":"cus_1","metadata":{}}}}`); code != 200 {
		t.Errorf("not ours: %d", code)
	}
	if code := post(ours, "t="+now+",v1=00"); code != 400 {
		t.Errorf("forged: %d", code)
	}
	if code := signed(`{"data":`); code != 400 {
		t.Errorf("half: %d", code)
	}
	if code := signed(strings.Repeat(" ", 300<<10)); code != 400 {
		t.Errorf("too long: %d", code)
	}
	fail = errors.New("database away")
	if code := signed(ours); code != 503 {
		t.Errorf("to be sent again: %d", code)
	}
	if want := []string{"pout_1", "pout_2", "pout_1"}; !slices.Equal(nudged, want) {
		t.Errorf("nudged %v, want %v", nudged, want)
	}
}

// FuzzVerify: no header opens the door without the secret, and none makes it panic.
func FuzzVerify(f *testing.F) {
	f.Add("t=1770000000,v1=00", []byte("{}"))
	f.Add("t=,v1=,v1", []byte(""))
	f.Add("v1=zz,t=-1", []byte("x"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if err := stripe.Verify("whsec_nobody_knows_this", header, body, time.Unix(1_770_000_000, 0)); err == nil {
			t.Errorf("%q opened the door", header)
		}
	})
}
