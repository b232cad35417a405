package api

import (
	"encoding/json"

	"parley/wire"
)

// audit writes down that an operator changed something, or tried to: who, what,
// on which object, and what came of it. Reading is not written down.
func (t *Table) audit(c wire.Caller, e *entry, params json.RawMessage, p *wire.Problem) {
	if c.Role != wire.RoleOperator || e.Method == "GET" || e.Method == "" {
		return
	}
	outcome := "ok"
	if p != nil {
		outcome = p.Code
	}
	fields := []any{"operator", c.User, "operation", e.Name, "outcome", outcome, "request", c.RequestID}
	given := map[string]any{}
	_ = json.Unmarshal(params, &given) // what is no object was refused, and names nothing
	for _, name := range e.path {
		if id, ok := given[name].(string); ok {
			fields = append(fields, name, id[:min(len(id), 128)])
		}
	}
	t.cfg.Log.Info("an operator acts", fields...)
}
