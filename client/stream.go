package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"parley/wire"
)

// errStream says that the node answered a post or the stream in no good way.
var errStream = errors.New("client: stream refused")

// stream is a line of server-sent events, with posts for what goes up. The
// first message opens it.
type stream struct {
	base  string // http://…/v1/events
	http  *http.Client
	turn  chan struct{} // of capacity 1: posts leave in order
	ready chan struct{} // closed when what follows it is set
	gone  chan struct{} // closed by abort
	leave func()        // closes gone, once

	session, key string
	body         io.ReadCloser
	lines        *bufio.Scanner
}

func newStream(socketURL string) (*stream, error) {
	u, err := url.Parse(socketURL)
	if err != nil {
		return nil, fmt.Errorf("client: socket URL: %w", err)
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	u.Path = strings.TrimSuffix(u.Path, "/socket") + "/events"
	l := &stream{
		base: u.String(), http: &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, ResponseHeaderTimeout: writeTimeout,
		}},
		turn: make(chan struct{}, 1), ready: make(chan struct{}), gone: make(chan struct{}),
	}
	l.leave = sync.OnceFunc(func() { close(l.gone) })
	return l, nil
}

// write posts a message; the first one opens the session.
func (l *stream) write(ctx context.Context, message []byte) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.gone:
		return io.ErrClosedPipe
	}
	defer func() { <-l.turn }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if l.key == "" {
		return l.open(ctx, message)
	}
	return l.post(ctx, l.base+"/"+l.session, message, nil)
}

// open posts session.open and begins to read the stream.
func (l *stream) open(ctx context.Context, message []byte) error {
	var opened struct{ Session, Ticket, Key string }
	if err := l.post(ctx, l.base+"/open", message, &opened); err != nil {
		return err
	}
	// The response outlives this call: closing its body, or the timeout of its header, ends it.
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, l.base+"?ticket="+url.QueryEscape(opened.Ticket), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := l.http.Do(req)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		defer func() { _ = res.Body.Close() }() // read as far as it is wanted
		return refusal(res)
	}
	l.session, l.key, l.body = opened.Session, opened.Key, res.Body
	l.lines = bufio.NewScanner(res.Body)
	l.lines.Buffer(nil, readLimit)
	close(l.ready)
	select {
	case <-l.gone: // meanwhile
		return res.Body.Close()
	default:
		return nil
	}
}

// post sends a message up; into takes the answer's body, if not nil.
func (l *stream) post(ctx context.Context, to string, message []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(message))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if l.key != "" {
		req.Header.Set("Authorization", "Bearer "+l.key)
	}
	res, err := l.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it is wanted
	if res.StatusCode >= http.StatusMultipleChoices {
		return refusal(res)
	}
	if into != nil {
		return json.NewDecoder(res.Body).Decode(into)
	}
	return nil
}

// refusal is the problem of an answer.
func refusal(res *http.Response) error {
	var p wire.Problem
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&p); err != nil || p.Code == "" {
		return fmt.Errorf("%w: %s", errStream, res.Status)
	}
	return &p
}

// read returns the next message of the stream.
func (l *stream) read() ([]byte, error) {
	select {
	case <-l.ready:
	case <-l.gone:
		return nil, io.ErrClosedPipe
	}
	kind := ""
	for l.lines.Scan() {
		field, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch {
		case field == "event":
			kind = value
		case field == "data" && kind == "close":
			return nil, closedBy(value)
		case field == "data":
			return []byte(value), nil
		}
	}
	if err := l.lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// closedBy is what the event "close" says, as of a close frame.
func closedBy(data string) error {
	var c struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		return fmt.Errorf("client: close: %w", err)
	}
	return websocket.CloseError{Code: websocket.StatusCode(c.Code), Reason: c.Reason}
}

func (l *stream) close() { l.abort() }

// abort drops the stream, by which the node ends the session.
func (l *stream) abort() {
	l.leave()
	select {
	case <-l.ready:
		_ = l.body.Close()
	default: // never opened; an answer under way ends with its timeout
	}
	l.http.CloseIdleConnections()
}
