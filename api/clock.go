package api

import (
	"context"
	"fmt"
	"time"

	"parley/internal/clock"
	"parley/wire"
)

// maxAdvance bounds one step of the clock.
const maxAdvance = 366 * 24 * time.Hour

type clockAdvanceInput struct {
	By string `json:"by" maxLength:"32" doc:"how far, such as 90s, 15m or 24h" example:"24h"`
}

type clockOutput struct {
	Now time.Time `json:"now" doc:"the node's time after the step"`
}

// clockOperations move the time of a dev node. movable is nil where it cannot be moved.
func clockOperations(movable *clock.Shifted) []Operation {
	return []Operation{
		Op(Row{Name: "clock.advance", Method: "POST", Path: "/v1/clock/advance", Roles: []wire.Role{wire.RoleServer}, Scope: "clock",
			Summary: "Move the node's time forward", Description: "Only in dev mode. Holds, deadlines, tokens and retries that come due take effect at once. The step lasts until the node stops."},
			func(_ context.Context, _ wire.Caller, in clockAdvanceInput) (clockOutput, error) {
				if movable == nil {
					return clockOutput{}, &wire.Problem{Code: "clock_fixed", Status: 409, Title: "The clock cannot be moved",
						Detail: "Only a node in dev mode has a clock that can be moved."}
				}
				by, err := time.ParseDuration(in.By)
				if err != nil || by <= 0 || by > maxAdvance {
					return clockOutput{}, &wire.Problem{Code: "invalid_params", Status: 422, Title: "Invalid parameters",
						Detail: fmt.Sprintf("by: %q is not a duration above zero and at most %d h, such as 90s, 15m or 24h.", in.By, maxAdvance/time.Hour)}
				}
				movable.Advance(by)
				return clockOutput{Now: movable.Now()}, nil
			}),
	}
}
