package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"parley/wire"
)

// REST calls operations over HTTP. The zero HTTP client is http.DefaultClient.
type REST struct {
	// URL of the node, without a slash at the end.
	URL string
	// Token is a user token or a server key.
	Token string
	// ActFor is the user a server key speaks for; may be empty.
	ActFor wire.UserID
	// HTTP sends the requests.
	HTTP *http.Client
}

// Do sends in (nil for none) to a path such as /v1/payments and decodes the
// answer into out (nil for none). key is the idempotency key of a write that
// moves money. An error of the server is a *wire.Problem.
func (r *REST) Do(ctx context.Context, method, path, key string, in, out any) error {
	req, err := r.request(ctx, method, path, key, in)
	if err != nil {
		return err
	}
	h := r.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	res, err := h.Do(req)
	if err != nil {
		return fmt.Errorf("client: %s %s: %w", method, path, err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end below
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("client: %s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		p := &wire.Problem{Code: "http_error", Status: res.StatusCode, Detail: res.Status}
		if err := json.Unmarshal(body, p); err != nil {
			p.Detail = res.Status // not one of our problems
		}
		return p
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("client: answer of %s %s: %w", method, path, err)
	}
	return nil
}

func (r *REST) request(ctx context.Context, method, path, key string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("client: body of %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if r.ActFor != "" {
		req.Header.Set("Parley-User", string(r.ActFor))
	}
	return req, nil
}
