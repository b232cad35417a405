package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"parley/wire/jsoncbor"
)

// Transport is how a Conn speaks with the node. The session is the same over each.
type Transport string

// The transports.
const (
	JSON Transport = ""     // a WebSocket with JSON
	CBOR Transport = "cbor" // a WebSocket with CBOR: smaller messages
	SSE  Transport = "sse"  // server-sent events and posts, where WebSocket is blocked
)

// ErrTransport says that a transport is not known.
var ErrTransport = errors.New("client: unknown transport")

// line carries messages of JSON, one goroutine reading, any writing.
type line interface {
	// read returns the next message. Its error holds a websocket.CloseError if
	// the node said why it closed.
	read() ([]byte, error)
	write(ctx context.Context, message []byte) error
	close() // with a farewell where there is one
	abort()
}

func connect(ctx context.Context, opts Options) (line, error) {
	switch opts.Transport {
	case JSON:
		return dialWebSocket(ctx, opts.SocketURL, Subprotocol)
	case CBOR:
		return dialWebSocket(ctx, opts.SocketURL, SubprotocolCBOR)
	case SSE:
		return newStream(opts.SocketURL)
	}
	return nil, fmt.Errorf("%w: %q", ErrTransport, opts.Transport)
}

// webSocket is a line over a WebSocket.
type webSocket struct {
	ws   *websocket.Conn
	cbor bool
}

func dialWebSocket(ctx context.Context, url, subprotocol string) (*webSocket, error) {
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{subprotocol}})
	if err != nil {
		return nil, fmt.Errorf("client: dial: %w", err)
	}
	ws.SetReadLimit(readLimit)
	return &webSocket{ws: ws, cbor: subprotocol == SubprotocolCBOR}, nil
}

func (l *webSocket) read() ([]byte, error) {
	_, message, err := l.ws.Read(context.Background()) // ends with close, abort or the server
	if err != nil || !l.cbor {
		return message, err
	}
	return jsoncbor.ServerToJSON(message, 2*readLimit)
}

func (l *webSocket) write(ctx context.Context, message []byte) error {
	// A frame cut short would end the connection for everybody who uses it, so
	// giving up a call does not give up its frame.
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if !l.cbor {
		return l.ws.Write(writing, websocket.MessageText, message)
	}
	message, err := jsoncbor.FromJSON(message)
	if err != nil {
		return err
	}
	return l.ws.Write(writing, websocket.MessageBinary, message)
}

func (l *webSocket) close() { _ = l.ws.Close(websocket.StatusNormalClosure, "") } // may be closed already

func (l *webSocket) abort() { _ = l.ws.CloseNow() } // may be closed already
