package stripe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley/payments"
)

const (
	// apiVersion pins the shapes of answers.
	apiVersion = "2024-06-20"
	// answerMax bounds what is read of an answer, in bytes.
	answerMax = 4 << 20
)

// apiError is an answer of Stripe that is not a success.
type apiError struct {
	status      int
	Type        string `json:"type"`
	Code        string `json:"code"`
	DeclineCode string `json:"decline_code"`
	Intent      struct {
		ID string `json:"id"`
	} `json:"payment_intent"`
}

// Error implements error. Stripe's message stays out: it may quote what people entered.
func (e *apiError) Error() string {
	return fmt.Sprintf("stripe: status %d, %s %s %s", e.status, e.Type, e.Code, e.DeclineCode)
}

// final reports whether Stripe has decided against the order: nothing happened and nothing will.
func (e *apiError) final() bool {
	return e.status == http.StatusPaymentRequired || (e.status == http.StatusBadRequest || e.status == http.StatusNotFound) && e.Type == "invalid_request_error"
}

func (e *apiError) intent() string { return e.Intent.ID }

func (e *apiError) reason() string { return reasonOf(e.DeclineCode, e.Code) }

// call sends one request and decodes a success into out. Any other answer is an
// *apiError, perhaps within a payments.RailBusyError; anything else that goes
// wrong means that nothing is known.
func (r *Rail) call(ctx context.Context, method, path string, form url.Values, key string, out any) error {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, r.cfg.URL+path, body)
	if err != nil {
		return fmt.Errorf("stripe: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+r.cfg.Key)
	req.Header.Set("Stripe-Version", apiVersion)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := r.cfg.Client.Do(req)
	if err != nil {
		return fmt.Errorf("stripe: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to the end or given up
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return fmt.Errorf("stripe: answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return failure(resp, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("stripe: answer: %w", err)
	}
	return nil
}

// failure is the error of an answer that is not a success.
func failure(resp *http.Response, text []byte) error {
	var answer struct {
		Error apiError `json:"error"`
	}
	err := &answer.Error
	if json.Unmarshal(text, &answer) != nil {
		answer.Error = apiError{} // an answer of something in between
	}
	err.status = resp.StatusCode
	seconds, parsed := strconv.Atoi(resp.Header.Get("Retry-After"))
	if parsed == nil && seconds > 0 {
		return &payments.RailBusyError{After: time.Duration(min(seconds, 3600)) * time.Second, Err: err}
	}
	return err
}
