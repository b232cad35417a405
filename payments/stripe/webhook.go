package stripe

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// signatureTolerance is how far a webhook's time may be from ours.
	signatureTolerance = 5 * time.Minute
	// webhookMax bounds a webhook's body, in bytes.
	webhookMax = 256 << 10
	// signaturesMax bounds the signatures that are tried; Stripe sends one or two.
	signaturesMax = 8
)

// Errors of Verify.
var (
	// ErrSignature says that a webhook is not signed with the secret.
	ErrSignature = errors.New("stripe: signature does not match")
	// ErrSignatureTime says that it was signed too long ago, or in the future.
	ErrSignatureTime = errors.New("stripe: signature is not of now")
)

// Webhook takes Stripe's events. An event says only that an object changed:
// nudge is told the order's reference and has Stripe asked, so that events that
// come late, twice or out of order do no harm. Events about objects that are
// none of ours are answered with 200.
func (r *Rail) Webhook(nudge func(ctx context.Context, reference string) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, webhookMax))
		if err != nil {
			http.Error(w, "body not readable", http.StatusBadRequest)
			return
		}
		if err := Verify(r.cfg.WebhookSecret, req.Header.Get("Stripe-Signature"), body, r.cfg.Now()); err != nil {
			http.Error(w, "signature refused", http.StatusBadRequest)
			return
		}
		var event struct {
			Data struct {
				Object object `json:"object"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &event); err != nil {
			http.Error(w, "not an event", http.StatusBadRequest)
			return
		}
		if ref := event.Data.Object.reference(); ref != "" {
			if err := nudge(req.Context(), ref); err != nil {
				http.Error(w, "try again", http.StatusServiceUnavailable)
				return
			}
		}
		w.WriteHeader(http.StatusOK)
	})
}

// Verify checks a Stripe-Signature header: t=seconds and one or more v1, each
// the hex HMAC-SHA256 of "t.body" under the secret. Signatures are compared in
// constant time. An empty secret verifies nothing.
func Verify(secret, header string, body []byte, now time.Time) error {
	if secret == "" {
		return ErrSignature
	}
	stamp, signatures := "", [][]byte{}
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			stamp = value
		case "v1":
			if sig, err := hex.DecodeString(value); err == nil && len(signatures) < signaturesMax {
				signatures = append(signatures, sig)
			}
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return ErrSignature
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	valid := false
	for _, sig := range signatures {
		valid = hmac.Equal(sig, want) || valid
	}
	if !valid {
		return ErrSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > signatureTolerance || age < -signatureTolerance {
		return ErrSignatureTime
	}
	return nil
}
