package presence

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/wire"
)

// A person's key is a hash: a field for each node that they are connected to
// ("n:" and its id: online or away), "call" while in a call, "shown" with what
// peers heard last unless that is offline, and "seen", the latest sign of life
// in unix ms.
const nodeField = "n:"

// sumUp is the state that a person's fields add up to; the script does the same.
func sumUp(fields map[string]string) wire.PresenceState {
	state := wire.Offline
	for f, v := range fields {
		if strings.HasPrefix(f, nodeField) && state != wire.Online {
			state = wire.PresenceState(v)
		}
	}
	if _, call := fields["call"]; call && state != wire.Offline {
		return wire.InCall
	}
	return state
}

// changeScript changes one person's hash and answers what it adds up to, what
// peers heard last, and when the person was seen. KEYS: the hash. ARGV: the
// operation and what it takes:
//
//	at node state seen heard   state on a node; heard is what peers of somebody who left know, should Redis have lost it
//	call, uncall               the in-call mark
//	shown state                peers have heard it
//
// A hash that says nothing goes away; one with only an in-call mark after a day.
var changeScript = redis.NewScript(`
local key, op = KEYS[1], ARGV[1]
if op == 'at' then
  if ARGV[3] ~= 'offline' then redis.call('HSET', key, 'n:' .. ARGV[2], ARGV[3])
  elseif redis.call('EXISTS', key) == 1 then redis.call('HDEL', key, 'n:' .. ARGV[2])
  elseif ARGV[5] ~= 'offline' then redis.call('HSET', key, 'shown', ARGV[5]) end
  local seen = redis.call('HGET', key, 'seen')
  if not seen or tonumber(seen) < tonumber(ARGV[4]) then redis.call('HSET', key, 'seen', ARGV[4]) end
elseif op == 'call' then redis.call('HSET', key, 'call', '1')
elseif op == 'uncall' then redis.call('HDEL', key, 'call')
elseif ARGV[2] == 'offline' then redis.call('HDEL', key, 'shown')
else redis.call('HSET', key, 'shown', ARGV[2]) end
local state, call, shown, seen = 'offline', false, 'offline', '0'
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local f, v = all[i], all[i + 1]
  if f == 'call' then call = true
  elseif f == 'shown' then shown = v
  elseif f == 'seen' then seen = v
  elseif state ~= 'online' then state = v end
end
if state == 'offline' and shown == 'offline' then
  if call then redis.call('EXPIRE', key, 86400) else redis.call('DEL', key) end
else redis.call('PERSIST', key) end
if call and state ~= 'offline' then state = 'in_call' end
return {state, shown, seen}
`)

// report is one operation on one person.
type report struct {
	op   string
	user wire.UserID
	args []any
}

// standing is what the script answered.
type standing struct {
	state, shown wire.PresenceState
	seen         time.Time
}

// tell takes the changes of this node's devices to Redis, and from there to peers.
func (r *Redis) tell(ctx context.Context, changes []change) []error {
	if len(changes) == 0 {
		return nil
	}
	var here, gone []any
	reports := make([]report, len(changes))
	for i, c := range changes {
		if c.State == wire.Offline {
			gone = append(gone, string(c.User))
		} else {
			here = append(here, string(c.User))
		}
		reports[i] = r.at(r.cfg.Node, c)
	}
	members := r.membersKey(r.cfg.Node)
	if len(here) > 0 { // before the fields, so that whoever sweeps this node finds them
		if err := r.cfg.Client.SAdd(ctx, members, here...).Err(); err != nil {
			return all(len(changes), fmt.Errorf("presence: %w", err))
		}
	}
	errs := r.change(ctx, reports)
	if len(gone) > 0 {
		for i, c := range changes { // what failed is tried again, and must be found until then
			if c.State == wire.Offline && errs[i] != nil {
				return errs
			}
		}
		if err := r.cfg.Client.SRem(ctx, members, gone...).Err(); err != nil {
			r.log.Debug("presence: a node's list keeps people who left", "err", err)
		}
	}
	return errs
}

func all(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// at is the report that a person is so on a node.
func (r *Redis) at(node string, c change) report {
	return report{op: "at", user: c.User, args: []any{node, string(c.State), c.seen.UnixMilli(), string(c.was)}}
}

// settleMax bounds how often a state that keeps changing is announced in a row.
const settleMax = 10

// change applies reports and announces what they change, until what peers have
// heard is what is: whoever announces last sees that nothing has changed since.
func (r *Redis) change(ctx context.Context, reports []report) []error {
	errs := make([]error, len(reports))
	at := make([]int, len(reports)) // where the reports under way stand in errs
	for i := range at {
		at[i] = i
	}
	for try := 0; len(reports) > 0 && try < settleMax; try++ {
		standings, err := r.apply(ctx, reports)
		if err != nil {
			for _, i := range at {
				errs[i] = err
			}
			return errs
		}
		var changes []change
		var left []int
		for i, s := range standings {
			if s.state != s.shown {
				changes = append(changes, s.change(reports[i].user))
				left = append(left, at[i])
			}
		}
		reports, at = nil, nil
		if len(changes) == 0 {
			break
		}
		for i, err := range r.local.tellPeers(ctx, changes) {
			if errs[left[i]] = err; err == nil {
				reports = append(reports, report{op: "shown", user: changes[i].User, args: []any{string(changes[i].State)}})
				at = append(at, left[i])
			}
		}
	}
	return errs
}

func (s standing) change(u wire.UserID) change {
	c := change{Presence: wire.Presence{User: u, State: s.state}, was: s.shown, seen: s.seen}
	if s.state == wire.Offline {
		at := s.seen.UTC()
		c.LastSeen = &at
	}
	return c
}

// apply runs the script for each report, in one pipeline.
func (r *Redis) apply(ctx context.Context, reports []report) ([]standing, error) {
	answers, err := r.run(ctx, reports)
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // a new server, or one that restarted
		if err = changeScript.Load(ctx, r.cfg.Client).Err(); err == nil {
			answers, err = r.run(ctx, reports)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	standings := make([]standing, len(answers))
	for i, a := range answers {
		words, err := a.StringSlice()
		if err != nil || len(words) != 3 {
			return nil, fmt.Errorf("presence: the script answered %v: %w", words, err)
		}
		ms, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("presence: the script answered %v: %w", words, err)
		}
		standings[i] = standing{state: wire.PresenceState(words[0]), shown: wire.PresenceState(words[1]), seen: time.UnixMilli(ms)}
	}
	return standings, nil
}

func (r *Redis) run(ctx context.Context, reports []report) ([]*redis.Cmd, error) {
	pipe := r.cfg.Client.Pipeline()
	answers := make([]*redis.Cmd, len(reports))
	for i, rep := range reports {
		answers[i] = changeScript.EvalSha(ctx, pipe, []string{r.key(rep.user)}, append([]any{rep.op}, rep.args...)...)
	}
	_, err := pipe.Exec(ctx)
	return answers, err
}
