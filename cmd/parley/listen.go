package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"parley/client"
)

// nodeFlags choose a running node and how to get in.
type nodeFlags struct {
	URL string `help:"Node." default:"http://localhost:8080"`
	Key string `help:"Server key; parley dev's if left out." default:"sk_dev_parley_not_a_secret"`
}

func (f nodeFlags) rest() *client.REST { return &client.REST{URL: f.URL, Token: f.Key} }

// listenCommand gives a backend under development the events of a node that
// could reach it only on this machine.
type listenCommand struct {
	nodeFlags
	ForwardTo string   `help:"Send the events on to this URL." required:"" placeholder:"URL"`
	Events    []string `help:"Types such as payment.held or payment.*; all if left out."`
}

// forwardTime bounds one forwarded request.
const forwardTime = 15 * time.Second

// Run implements the command.
func (c listenCommand) Run(ctx context.Context, p *program) (err error) {
	if u, err := url.Parse(c.ForwardTo); err != nil || u.Host == "" {
		return fmt.Errorf("--forward-to %q: want a URL such as http://localhost:3000/parley", c.ForwardTo)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	f := &forwarder{to: c.ForwardTo, out: p.Stdout, client: &http.Client{Timeout: forwardTime, Transport: &http.Transport{}}}
	srv := &http.Server{Handler: f, ReadHeaderTimeout: forwardTime}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	defer func() {
		f.client.CloseIdleConnections()
		if serveErr := errors.Join(srv.Close(), <-ended); !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
	}()
	var hook struct{ ID, Secret string }
	in := map[string]any{"url": "http://" + listener.Addr().String(), "description": "parley listen", "events": append([]string{}, c.Events...)}
	if err := c.rest().Do(ctx, http.MethodPost, "/v1/webhooks", "", in, &hook); err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "Forwarding to %s until Ctrl-C. Signing secret: %s\n", c.ForwardTo, hook.Secret)
	<-ctx.Done()
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := c.rest().Do(finish, http.MethodDelete, "/v1/webhooks/"+hook.ID, "", nil, nil); err != nil {
		return fmt.Errorf("webhook %s is left behind: %w", hook.ID, err)
	}
	return nil
}

// forwarder passes requests on as they are, and the answer's status back.
type forwarder struct {
	to     string
	out    io.Writer
	client *http.Client
}

// ServeHTTP implements http.Handler.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := http.StatusBadGateway
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err == nil {
		status, err = f.forward(r, body)
	}
	var ev struct {
		Type, Subject string
		Seq           int64
	}
	_ = json.Unmarshal(body, &ev) // shown as far as it can be read
	line := fmt.Sprintf("%s  %s  seq %d  -> %d", ev.Type, ev.Subject, ev.Seq, status)
	if err != nil {
		line += "  " + err.Error()
	}
	fmt.Fprintln(f.out, line)
	w.WriteHeader(status)
}

func (f *forwarder) forward(r *http.Request, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, f.to, bytes.NewReader(body))
	if err != nil {
		return http.StatusBadGateway, err
	}
	for _, name := range []string{"Content-Type", "User-Agent", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
		req.Header.Set(name, r.Header.Get(name))
	}
	res, err := f.client.Do(req)
	if err != nil {
		return http.StatusBadGateway, err
	}
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // only the status goes back
	return res.StatusCode, res.Body.Close()
}
