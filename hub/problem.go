package hub

import (
	"fmt"
	"maps"
	"time"

	"parley/wire"
)

// words are a problem's title, status and detail.
type words struct {
	status        int
	title, detail string
}

// problems are the hub's own; what Operations answer passes through unchanged.
var problems = map[string]words{
	"session_not_open":      {409, "Session not open", "Send session.open first and wait for its answer."},
	"session_already_open":  {409, "Session already open", "A socket has one session; session.refresh replaces its token."},
	"session_open_alone":    {400, "session.open stands alone", "session.open must be a request of its own with an id, not a notification and not part of a batch."},
	"invalid_params":        {422, "Invalid parameters", "The parameters do not fit."},
	"unauthenticated":       {401, "Not authenticated", "The token was refused."},
	"token_expired":         {401, "Token expired", "Get a new token and send session.refresh."},
	"token_revoked":         {401, "Signed out", "The token, its device or its user was signed out."},
	"token_mismatch":        {403, "Another user's token", "session.refresh needs a token of the same user and device."},
	"user_required":         {403, "Not a user's token", "Sockets are for users; a server key works on REST."},
	"too_many_sessions":     {429, "Too many sessions", "This user has too many sessions open on this node."},
	"too_many_connections":  {429, "Too many connections", "This address has too many connections open."},
	"rate_limited":          {429, "Too many requests", "Wait for retry_after seconds."},
	"too_many_in_flight":    {429, "Too many requests under way", "Wait for answers before sending more."},
	"node_busy":             {503, "Node busy", "The session could not be opened now; try again."},
	"node_draining":         {503, "Node draining", "This node takes no new sockets; connect again."},
	"subprotocol_required":  {400, "Subprotocol required", "Offer the WebSocket subprotocol " + Subprotocol + " or " + SubprotocolCBOR + "."},
	"websocket_required":    {426, "WebSocket required", "This address speaks WebSocket only."},
	"stream_unknown":        {404, "Unknown stream", "There is no such stream, it has ended, or its ticket was used: open another and resume."},
	"message_too_large":     {413, "Message too large", "The message is larger than a session may send."},
	"message_cut_short":     {400, "Message cut short", "The message did not come whole, or not in time."},
	"origin_not_authorized": {403, "Origin not authorized", "Pages of this origin may not open sockets here."},
}

// Problems returns the codes of the problems the hub makes and what each says.
func Problems() map[string]string {
	texts := make(map[string]string, len(problems))
	for code, w := range maps.All(problems) {
		texts[code] = w.detail
	}
	return texts
}

// problem makes the hub's own problem of the given code.
func (h *Hub) problem(code string) *wire.Problem {
	w := problems[code]
	return &wire.Problem{Type: h.cfg.BaseURL + "/problems/" + code, Title: w.title, Status: w.status, Detail: w.detail, Code: code}
}

func (h *Hub) problemParams(format string, args ...any) *wire.Problem {
	p := h.problem("invalid_params")
	p.Detail = fmt.Sprintf(format, args...)
	return p
}

func (h *Hub) problemRate(retry time.Duration) *wire.Problem {
	p := h.problem("rate_limited")
	p.RetryAfter = seconds(retry)
	return p
}

func (h *Hub) problemInFlight() *wire.Problem {
	p := h.problem("too_many_in_flight")
	p.RetryAfter = 1
	return p
}
