package wire

import "encoding/json"

// Request is a JSON-RPC 2.0 request on the socket. A frame holds one request
// or an array of them.
type Request struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

// Reply answers the Request with the same ID.
type Reply struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *ReplyError     `json:"error,omitempty"`
}

// ReplyError is a JSON-RPC error whose data is a Problem.
type ReplyError struct {
	Code    int      `json:"code"`
	Message string   `json:"message"`
	Data    *Problem `json:"data,omitempty"`
}

// JSON-RPC error codes. Problems of the application use CodeProblem.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeUnknownMethod  = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
	CodeProblem        = -32000
)

// Close codes of the socket tell the client what to do next.
const (
	CloseTokenRefused = 4001 // get a new token, do not retry with this one
	CloseTokenExpired = 4002 // get a new token, then resume
	CloseRevoked      = 4003 // signed out; do not retry
	CloseSlow         = 4008 // slow consumer: resume at once, nothing is lost
	CloseReplaced     = 4009 // the same device opened another socket; do not retry
	CloseDrain        = 4010 // node leaves: resume after the delay in the reason ("retry_ms=…"), with jitter
	CloseRate         = 4029 // too many requests: resume after a pause
)
