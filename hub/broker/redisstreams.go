package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisStreams are the Streams of several nodes. Redis numbers, keeps and
// publishes in one script, so that what arrives on a channel is in the order of
// the numbers, whichever nodes it came from.
type RedisStreams struct {
	bus  *Redis
	node string // names this node in reports
}

// NewRedisStreams makes the streams of the nodes that share bus' Redis.
func NewRedisStreams(bus *Redis, node string) *RedisStreams {
	return &RedisStreams{bus: bus, node: node}
}

// streamSelf begins what the script publishes, in place of a publishing node:
// every node takes it from Redis, the one that asked for it, too.
var streamSelf = strings.Repeat("\x00", selfSize)

// The keys of a stream, in the hash slot of its lane.
func (r *RedisStreams) keys(topic string) (place, kept, joined string) {
	tag := r.bus.lane(topic).tag
	return tag + "~p." + topic, tag + "~k." + topic, tag + "~j." + topic
}

// placeOf is the part of the scripts that reads a stream's place, and begins it where there is none.
const placeOf = `
local epoch, seq = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'seq'))
if not epoch then
  epoch, seq = ARGV[1], 0
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'seq', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

// appendScript: KEYS place, kept, channel, once; ARGV epoch, idle ms, head, tail,
// keep, ttl ms, command, marker, once ms.
var appendScript = redis.NewScript(`
local named = ARGV[9] ~= '0'
if named then
  local done = redis.call('GET', KEYS[4])
  if done then return done end
end
` + placeOf + `
seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local at = epoch .. ' ' .. string.format('%d', seq)
local body = ARGV[3] .. '"seq":' .. string.format('%d', seq) .. ',"epoch":"' .. epoch .. '"' .. ARGV[4]
local keep, ttl = tonumber(ARGV[5]), tonumber(ARGV[6])
if keep > 0 then
  redis.call('RPUSH', KEYS[2], string.format('%.0f', now + ttl) .. ' ' .. body)
  redis.call('LTRIM', KEYS[2], -keep, -1)
  redis.call('PEXPIRE', KEYS[2], ttl)
else
  redis.call('DEL', KEYS[2])
end
if named then redis.call('SET', KEYS[4], at, 'PX', ARGV[9]) end
redis.call(ARGV[7], KEYS[3], ARGV[8] .. at .. ' ' .. body)
return at
`)

// Append implements Streams.
func (r *RedisStreams) Append(ctx context.Context, d Draft) (Place, error) {
	place, kept, _ := r.keys(d.Topic)
	l := r.bus.lane(d.Topic)
	publish, once := "PUBLISH", int64(0)
	if r.bus.sharded {
		publish = "SPUBLISH"
	}
	if d.Once != "" {
		once = onceTime.Milliseconds()
	}
	at, err := appendScript.Run(ctx, r.bus.cfg.Client, []string{place, kept, l.channel(d.Topic), l.tag + "~o." + d.Topic + "\x00" + d.Once},
		newEpoch(time.Now()), idleTime.Milliseconds(), d.Head, d.Tail, d.Keep, max(d.TTL.Milliseconds(), 1), publish, streamSelf, once).Text()
	if err != nil {
		return Place{}, fmt.Errorf("%w: append: %w", ErrUnavailable, err)
	}
	p, _, ok := cutPlace(at + " ")
	if !ok {
		return Place{}, fmt.Errorf("%w: append answered %q", ErrMessage, at)
	}
	return p, nil
}

// cutPlace reads "epoch seq " off the front of text.
func cutPlace(text string) (p Place, rest string, ok bool) {
	epoch, rest, ok := strings.Cut(text, " ")
	if !ok {
		return p, "", false
	}
	digits, rest, ok := strings.Cut(rest, " ")
	seq, err := strconv.ParseInt(digits, 10, 64)
	return Place{Epoch: epoch, Seq: seq}, rest, ok && err == nil && seq > 0
}

// readScript: KEYS place, kept; ARGV epoch, idle ms, after, limit.
var readScript = redis.NewScript(placeOf + `
local len = redis.call('LLEN', KEYS[2])
local first = seq - len + 1
local after, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
local from = 0
if after == -1 then
  from = math.max(0, len - limit)
elseif after >= first then
  from = math.min(after - first + 1, len)
end
local kept = {}
if limit > 0 and from < len then kept = redis.call('LRANGE', KEYS[2], from, from + limit - 1) end
return {epoch, tostring(seq), string.format('%.0f', now), string.format('%d', first + from), kept}
`)

// Read implements Streams.
func (r *RedisStreams) Read(ctx context.Context, topic string, after int64, limit int) (Page, error) {
	place, kept, _ := r.keys(topic)
	answer, err := readScript.Run(ctx, r.bus.cfg.Client, []string{place, kept}, newEpoch(time.Now()), idleTime.Milliseconds(), after, limit).Slice()
	if err != nil {
		return Page{}, fmt.Errorf("%w: read: %w", ErrUnavailable, err)
	}
	page, ok := pageOf(answer)
	if !ok {
		return Page{}, fmt.Errorf("%w: read answered %d parts", ErrMessage, len(answer))
	}
	return page, nil
}

// pageOf reads the answer of readScript and leaves out what has expired.
func pageOf(answer []any) (page Page, ok bool) {
	if len(answer) != 5 {
		return page, false
	}
	var texts [4]string
	for i := range texts {
		if texts[i], ok = answer[i].(string); !ok {
			return page, false
		}
	}
	kept, ok := answer[4].([]any)
	if !ok {
		return page, false
	}
	var now int64
	var errs [3]error
	page.Head.Epoch = texts[0]
	page.Head.Seq, errs[0] = strconv.ParseInt(texts[1], 10, 64)
	now, errs[1] = strconv.ParseInt(texts[2], 10, 64)
	page.First, errs[2] = strconv.ParseInt(texts[3], 10, 64)
	if errors.Join(errs[:]...) != nil {
		return page, false
	}
	for _, k := range kept {
		text, _ := k.(string)
		digits, body, ok := strings.Cut(text, " ")
		expires, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil {
			return page, false
		}
		if expires <= now {
			page.First += int64(len(page.Events)) + 1
			page.Events = nil
			continue
		}
		page.Events = append(page.Events, []byte(body))
	}
	return page, true
}

// renewScript: KEYS place, kept; ARGV the epoch that is over, the new one, idle ms.
var renewScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'seq', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('DEL', KEYS[2])
return 1
`)

// Renew implements Streams.
func (r *RedisStreams) Renew(ctx context.Context, topic, epoch string) error {
	place, kept, _ := r.keys(topic)
	err := renewScript.Run(ctx, r.bus.cfg.Client, []string{place, kept}, epoch, newEpoch(time.Now()), idleTime.Milliseconds()).Err()
	if err != nil {
		return fmt.Errorf("%w: renew: %w", ErrUnavailable, err)
	}
	return nil
}

// Report implements Streams. A node's count stands beside the time until which it holds.
func (r *RedisStreams) Report(ctx context.Context, joined map[string]int) error {
	until := strconv.FormatInt(time.Now().Add(reportTime).UnixMilli(), 10)
	pipe := r.bus.cfg.Client.Pipeline()
	for topic, n := range joined {
		if pipe.Len() >= publishMax {
			if err := execReport(ctx, pipe); err != nil {
				return err
			}
		}
		place, _, counts := r.keys(topic)
		if n == 0 {
			pipe.HDel(ctx, counts, r.node)
			continue
		}
		pipe.HSet(ctx, counts, r.node, strconv.Itoa(n)+" "+until)
		pipe.PExpire(ctx, counts, reportTime)
		pipe.PExpire(ctx, place, idleTime)
	}
	return execReport(ctx, pipe)
}

// execReport sends what is in the pipeline, which may be nothing.
func execReport(ctx context.Context, pipe redis.Pipeliner) error {
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("%w: report: %w", ErrUnavailable, err)
	}
	return nil
}

// Elsewhere implements Streams.
func (r *RedisStreams) Elsewhere(ctx context.Context, topic string) (int, error) {
	_, _, counts := r.keys(topic)
	nodes, err := r.bus.cfg.Client.HGetAll(ctx, counts).Result()
	if err != nil {
		return 0, fmt.Errorf("%w: count: %w", ErrUnavailable, err)
	}
	sum, now := 0, time.Now().UnixMilli()
	for node, text := range nodes {
		count, until, _ := strings.Cut(text, " ")
		n, nerr := strconv.Atoi(count)
		t, terr := strconv.ParseInt(until, 10, 64)
		if node != r.node && nerr == nil && terr == nil && t > now {
			sum += n
		}
	}
	return sum, nil
}

// arriveStream takes what appendScript published for topic.
func (r *Redis) arriveStream(topic, text string) {
	p, body, ok := cutPlace(text)
	if !ok {
		r.metrics.dropped[dropUndecoded].Inc()
		r.local.lose()
		return
	}
	_ = r.local.Publish(&Message{Kind: KindStream, Epoch: p.Epoch, Seq: p.Seq, Frame: []byte(body), To: []Target{{Topic: topic}}})
}
