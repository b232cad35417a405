package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"parley/wire"
)

// Bounds of session.open.
const (
	maxResume  = 2000 // conversations named in resume
	maxName    = 100  // bytes of a client's own description
	maxToken   = 8 << 10
	maxOpeners = 64 // sessions read from the database at once
)

type openParams struct {
	Token  string                        `json:"token"`
	Device wire.DeviceID                 `json:"device"`
	Resume map[wire.ConversationID]int64 `json:"resume"`
	Name   string                        `json:"name"`
}

type openResult struct {
	Session       wire.SessionID `json:"session"`
	User          wire.UserID    `json:"user"`
	Device        wire.DeviceID  `json:"device"`
	HeartbeatS    int            `json:"heartbeat_s"`
	ServerTime    time.Time      `json:"server_time"`
	Conversations []openHead     `json:"conversations"`
}

// openHead tells a client where a conversation stands: From is the number of
// the first entry that will be sent; Gap says that entries before it are
// missing, too many to send, and must be paged.
type openHead struct {
	ID   wire.ConversationID `json:"id"`
	Head int64               `json:"head"`
	From int64               `json:"from"`
	Gap  bool                `json:"gap"`
}

// open runs session.open. The order matters: the session hears of new entries
// before it reads the heads, so that nothing falls between.
func (s *session) open(ctx context.Context, raw json.RawMessage) (json.RawMessage, *wire.Problem) {
	h := s.hub
	in, p := s.openParams(raw)
	if p != nil {
		return nil, p
	}
	s.mu.Lock()
	if s.stage != stageNew {
		s.mu.Unlock()
		return nil, h.problem("session_already_open")
	}
	s.mu.Unlock()

	if !h.opening.enter(ctx, h.cfg.OpenTimeout) {
		return nil, s.turnAway(h.problem("node_busy"))
	}
	defer h.opening.leave()
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	id, p := h.authenticate(ctx, in.Token, in.Device, s)
	if p != nil {
		return nil, s.turnAway(p)
	}
	if p := s.join(ctx, id, in); p != nil {
		return nil, s.turnAway(p)
	}
	if h.signedOut(s.identity()) {
		return nil, s.turnAway(h.problem("token_revoked"))
	}
	losses := h.losses.Load()
	heads, err := h.headsOf(ctx, id.User)
	if err != nil {
		h.cfg.Log.Warn("heads not read", "user", id.User, "err", err)
		return nil, s.turnAway(h.problem("node_busy"))
	}
	return s.begin(heads, losses, in)
}

// signedOut reports whether b was signed out, whatever its token's check said.
func (h *Hub) signedOut(b bearer) bool {
	return h.revocations.cover(b) || h.cfg.SignedOut != nil && h.cfg.SignedOut(b.user, b.device, b.issued)
}

// openParams checks the parameters of session.open.
func (s *session) openParams(raw json.RawMessage) (in openParams, p *wire.Problem) {
	h := s.hub
	if err := in.read(raw); err != nil {
		return in, h.problemParams("session.open: %v.", err)
	}
	switch {
	case in.Token == "" || len(in.Token) > maxToken:
		return in, h.problemParams("token must have 1 to %d bytes.", maxToken)
	case wire.CheckID(wire.PrefixDevice, string(in.Device)) != nil:
		return in, h.problemParams("device must be %q and 1 to 64 of a-z and 0-9.", wire.PrefixDevice)
	case len(in.Resume) > maxResume:
		return in, h.problemParams("resume may name at most %d conversations; leave out the oldest.", maxResume)
	case len(in.Name) > maxName:
		return in, h.problemParams("name may have at most %d bytes.", maxName)
	}
	return in, nil
}

// read reads the parameters, which are valid JSON, member by member: the general
// reader would take a twentieth of what connecting costs.
func (in *openParams) read(raw json.RawMessage) error {
	if len(raw) == 0 || raw[0] != '{' {
		return errors.New("parameters are missing")
	}
	for key, value := range members(raw) {
		var err error
		switch string(unescape(key)) {
		case `"token"`:
			err = readString(value, &in.Token)
		case `"device"`:
			err = readString(value, &in.Device)
		case `"name"`:
			err = readString(value, &in.Name)
		case `"resume"`:
			err = json.Unmarshal(value, &in.Resume)
		default:
			err = errors.New("is not known here")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// readString reads a JSON string, without a detour if it has no escapes.
func readString[T ~string](value []byte, to *T) error {
	if value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		*to = T(value[1 : len(value)-1])
		return nil
	}
	return json.Unmarshal(value, to)
}

func decodeStrict(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return errors.New("parameters are missing")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// authenticate checks a token for a session of device.
func (h *Hub) authenticate(ctx context.Context, tok string, device wire.DeviceID, s *session) (Identity, *wire.Problem) {
	id, err := h.backend.Authenticate(ctx, tok, s.addr)
	if err != nil {
		var p *wire.Problem
		if errors.As(err, &p) && (p.Status == 401 || p.Status == 403 || p.Status == 429) {
			return id, p
		}
		h.cfg.Log.Warn("token not checked", "session", s.id, "err", err)
		return id, h.problem("node_busy")
	}
	if id.Role == "" {
		id.Role = wire.RoleUser
	}
	switch {
	case id.User == "":
		return id, h.problem("user_required")
	case id.Device != "" && id.Device != device:
		p := h.problem("unauthenticated")
		p.Detail = "The token belongs to another device."
		return id, p
	case h.expired(id.Expires):
		return id, h.problem("token_expired")
	}
	return id, nil
}

// turnAway ends the session as the problem says, once the worker has queued the answer.
func (s *session) turnAway(p *wire.Problem) *wire.Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending.reason == "" {
		s.ending = endingOf(p)
		s.ending.finish = true // sealed when the worker has queued the answer
	}
	s.jobs, s.jobBytes = nil, 0
	return p
}

// endingOf maps the problem that refused a session to its close code.
func endingOf(p *wire.Problem) ending {
	switch p.Code {
	case "token_expired":
		return endExpired
	case "token_revoked":
		return endRevoked
	case "too_many_sessions":
		return endLimit
	case "rate_limited":
		return endRate
	case "node_busy":
		return ending{code: closeTryLater, text: retryIn(time.Second + rand.N(4*time.Second)), reason: reasonBusy}
	}
	return endRefused
}

// join makes the session reachable: its user's events are noted from now on.
func (s *session) join(ctx context.Context, id Identity, in openParams) *wire.Problem {
	h := s.hub
	s.mu.Lock()
	s.stage = stageOpening
	s.caller = wire.Caller{Role: id.Role, User: id.User, Device: in.Device, Session: s.id, Scopes: id.Scopes, Topics: id.Topics, Addr: s.addr}
	s.token = token{id: id.TokenID, issued: id.Issued, expires: id.Expires}
	s.name = in.Name
	s.mu.Unlock()
	older, err := h.enter(ctx, s)
	if errors.Is(err, errTooMany) {
		return h.problem("too_many_sessions")
	}
	if err != nil {
		h.cfg.Log.Warn("topic not subscribed", "session", s.id, "err", err)
		return h.problem("node_busy")
	}
	for _, o := range older {
		o.end(endReplaced)
	}
	return nil
}

// begin opens the session: its answer is queued first, then what was held back;
// afterJob then reads what the client missed. The heads were asked for after so
// many losses.
func (s *session) begin(heads []Head, losses int64, in openParams) (json.RawMessage, *wire.Problem) {
	h := s.hub
	result := openResult{
		Session: s.id, User: s.caller.User, Device: in.Device, HeartbeatS: int(h.cfg.Heartbeat / time.Second),
		ServerTime: h.cfg.Clock.Now(), Conversations: make([]openHead, 0, len(heads)),
	}
	pos := make(positions, 0, len(heads))
	budget := int64(h.cfg.ResumeTotal)
	for _, head := range heads {
		last, named := in.Resume[head.Conversation]
		o, p := resumeFrom(head, last, named, min(budget, int64(h.cfg.ResumeMax)))
		budget -= p.want - p.sent
		result.Conversations = append(result.Conversations, o)
		pos = append(pos, p)
	}
	body, err := json.Marshal(result)
	if err != nil {
		return nil, h.problem("internal")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortFunc(pos, func(a, b position) int { return strings.Compare(string(a.conv), string(b.conv)) })
	s.pos = pos
	s.opened, s.losses = result.ServerTime, losses
	return body, nil
}

// resumeFrom decides what a client that has conversation entries up to last is sent.
func resumeFrom(head Head, last int64, named bool, most int64) (openHead, position) {
	o := openHead{ID: head.Conversation, Head: head.Seq, From: head.Seq + 1}
	p := position{conv: head.Conversation, sent: head.Seq, want: head.Seq}
	switch missing := head.Seq - last; {
	case !named || last < 0 || missing <= 0:
	case missing > most:
		o.Gap = true
	default:
		o.From, p.sent = last+1, last
	}
	return o, p
}

// afterJob finishes an opening whose answer is queued: live events flow from
// here on, missed entries are read from the log, and observers are told.
func (s *session) afterJob(ctx context.Context) {
	s.mu.Lock()
	s.askedLocked()
	if s.stage != stageOpening || s.opened.IsZero() || s.ending.reason != "" {
		s.mu.Unlock()
		return
	}
	s.stage = stageOpen
	now := s.hub.uptime()
	for conv, seen := range s.held.noted {
		s.pos.begin(conv, seen.first)
		s.pos.know(conv, seen.last)
	}
	reason := ""
	for _, frame := range s.held.signals {
		if reason == "" {
			reason = s.pushLocked(frame, now)
		}
	}
	s.held = heldEvents{}
	s.told, s.reading = true, true
	s.nextBeat = s.hub.firstBeat()
	firstBeat := s.nextBeat
	caller, missed := s.caller, s.losses != s.hub.losses.Load()
	s.mu.Unlock()
	if missed { // something was lost while the session opened, and the round may have passed it by
		s.hub.askRound()
	}
	if reason != "" {
		s.end(slow(reason))
	}
	s.flush()
	s.settle()
	s.hub.metrics.opens.Inc()
	s.replaceElsewhere(caller)
	s.catchUp(ctx)
	s.hub.wheel.schedule(s, firstBeat)
	for _, o := range s.hub.cfg.Observers {
		o.SessionOpened(ctx, caller)
	}
}

type refreshParams struct {
	Token string `json:"token"`
}

// refresh runs session.refresh: a new token of the same user and device.
func (s *session) refresh(ctx context.Context, raw json.RawMessage) (json.RawMessage, *wire.Problem) {
	h := s.hub
	var in refreshParams
	if err := decodeStrict(raw, &in); err != nil {
		return nil, h.problemParams("session.refresh: %v.", err)
	}
	s.mu.Lock()
	stage, caller := s.stage, s.caller
	s.mu.Unlock()
	if stage != stageOpen {
		return nil, h.problem("session_not_open")
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	id, p := h.authenticate(ctx, in.Token, caller.Device, s)
	if p != nil {
		return nil, p
	}
	if id.User != caller.User || id.Role != caller.Role {
		return nil, h.problem("token_mismatch")
	}
	s.mu.Lock()
	s.caller.Scopes, s.caller.Topics = id.Scopes, id.Topics
	caller = s.caller
	s.token = token{id: id.TokenID, issued: id.Issued, expires: id.Expires}
	s.mu.Unlock()
	if h.signedOut(s.identity()) {
		return nil, s.turnAway(h.problem("token_revoked"))
	}
	if may := h.cfg.MayJoin; may != nil {
		s.expel("token", func(topic string) bool { return !may(caller, topic) })
	}
	body, err := json.Marshal(struct {
		Expires *time.Time `json:"expires"`
	}{nonZero(id.Expires)})
	if err != nil {
		return nil, h.problem("internal")
	}
	return body, nil
}

func nonZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
