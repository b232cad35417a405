package api

import (
	"context"
	"errors"
	"fmt"

	"parley/internal/sqldb"
	"parley/wire"
)

// commonRules hold for every feature and are tried last.
var commonRules = []Rule{
	{Is: sqldb.ErrUnavailable, Code: "database_unavailable", Status: 503, Title: "Database unavailable", RetryAfter: 1, Hide: true},
	{Is: context.DeadlineExceeded, Code: "timeout", Status: 504, Title: "Took too long", RetryAfter: 1, Hide: true},
	{Is: context.Canceled, Code: "cancelled", Status: 499, Title: "Request cancelled", Hide: true},
	{Is: wire.ErrID, Code: "invalid_params", Status: 422, Title: "Invalid parameters"},
}

// problem turns an error into what the caller may see.
func (t *Table) problem(c wire.Caller, operation string, err error) *wire.Problem {
	var p *wire.Problem
	if errors.As(err, &p) {
		copied := *p
		return &copied
	}
	for _, rules := range [][]Rule{t.rules, commonRules} {
		for _, r := range rules {
			if r.Money && !t.movesMoney(operation) || !errors.Is(err, r.Is) {
				continue
			}
			p := &wire.Problem{Code: r.Code, Status: r.Status, Title: r.Title, RetryAfter: r.RetryAfter, Detail: r.Title + "."}
			var wait interface{ RetryAfter() int } // an error that knows better than its rule
			if errors.As(err, &wait) {
				p.RetryAfter = wait.RetryAfter()
			}
			if !r.Hide {
				p.Detail = err.Error()
				if r.More != nil {
					r.More(err, p)
				}
			} else {
				t.cfg.Log.Warn("problem", "operation", operation, "code", r.Code, "request", c.RequestID, "err", err)
			}
			return p
		}
	}
	t.cfg.Log.Error("operation failed", "operation", operation, "request", c.RequestID, "err", err)
	return &wire.Problem{Code: "internal", Status: 500, Title: "Internal error",
		Detail: fmt.Sprintf("Something went wrong on our side; quote request %s.", c.RequestID)}
}

func (t *Table) movesMoney(operation string) bool {
	e := t.ops[operation]
	return e != nil && e.Money
}

// finish fills in what every problem carries and tells the observer.
func (t *Table) finish(c wire.Caller, operation string, p *wire.Problem) *wire.Problem {
	if p.Type == "" {
		p.Type = t.cfg.BaseURL + "/problems/" + p.Code
	}
	if p.Title == "" {
		p.Title = p.Code
	}
	p.RequestID = c.RequestID
	if t.cfg.OnProblem != nil {
		t.cfg.OnProblem(operation, p)
	}
	return p
}
