package wire

import (
	"fmt"
	"time"
)

// Problem is an RFC 9457 problem: the one shape of every error that leaves,
// on REST as application/problem+json and on the socket as a JSON-RPC error's data.
type Problem struct {
	Type       string       `json:"type" doc:"URL of a page that explains the code"`
	Title      string       `json:"title"`
	Status     int          `json:"status"`
	Detail     string       `json:"detail,omitempty" doc:"what went wrong this time and what to do"`
	Instance   string       `json:"instance,omitempty"`
	Code       string       `json:"code" doc:"stable, machine-readable"`
	RequestID  string       `json:"request_id,omitempty"`
	RetryAfter int          `json:"retry_after,omitempty" doc:"seconds"`
	Until      *time.Time   `json:"until,omitempty" doc:"when it is worth trying again, by the server's clock"`
	Details    any          `json:"details,omitempty" doc:"what a client needs to go on; its form depends on the code"`
	Errors     []FieldError `json:"errors,omitempty"`
}

// FieldError names one wrong input.
type FieldError struct {
	Location string `json:"location" doc:"for example amount"`
	Message  string `json:"message"`
}

// Error implements error.
func (p *Problem) Error() string { return fmt.Sprintf("%s: %s", p.Code, p.Detail) }
