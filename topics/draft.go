package topics

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/wire"
)

// draft encodes a publication, once for all who will get it.
func (s *Service) draft(c wire.Caller, p Publication) (Draft, error) {
	var data bytes.Buffer
	if err := json.Compact(&data, p.Data); err != nil {
		return Draft{}, fmt.Errorf("topics: data: %w", err)
	}
	if data.Len() > DataMax {
		return Draft{}, ErrTooLarge
	}
	d := Draft{Topic: p.Topic}
	d.Head = append(append([]byte(`{"type":"topic.message","topic":"`), p.Topic...), `",`...) // a name needs no escapes
	d.Tail = append(d.Tail, `,"time":"`...)
	d.Tail = s.deps.Clock.Now().UTC().AppendFormat(d.Tail, time.RFC3339Nano)
	if c.User != "" {
		d.Tail = append(append(d.Tail, `","author":"`...), c.User...) // nor does a user id
	}
	d.Tail = append(append(append(d.Tail, `","data":`...), data.Bytes()...), '}')
	if keep, ok := s.keepOf(p.Topic); ok {
		d.Keep, d.TTL = keep.Size, keep.TTL
	}
	if p.ClientID != "" {
		d.Once = string(c.User) + "/" + p.ClientID
	}
	return d, nil
}

// Keep says how much of the topics that Pattern covers is kept.
type Keep struct {
	Pattern string
	// Size is how many of the last publications, TTL for how long.
	Size int
	TTL  time.Duration
}

// ErrKeep says that a text is no Keep.
var ErrKeep = errors.New("not a rule of what topics keep")

// SizeMax bounds how many publications a topic keeps.
const SizeMax = 1000

// ParseKeep reads "PATTERN size=N ttl=DURATION", for example "prices:* size=100 ttl=10m".
func ParseKeep(text string) (Keep, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return Keep{}, fmt.Errorf("%w: %q is not PATTERN size=N ttl=DURATION", ErrKeep, text)
	}
	k := Keep{Pattern: fields[0]}
	if err := CheckPattern(k.Pattern); err != nil {
		return Keep{}, fmt.Errorf("%w: %q: %w", ErrKeep, text, err)
	}
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		var err error
		switch name {
		case "size":
			k.Size, err = strconv.Atoi(value)
		case "ttl":
			k.TTL, err = time.ParseDuration(value)
		default:
			err = errors.New("unknown word " + name)
		}
		if err != nil {
			return Keep{}, fmt.Errorf("%w: %q: %w", ErrKeep, text, err)
		}
	}
	if k.Size < 1 || k.Size > SizeMax || k.TTL < time.Second || k.TTL > 24*time.Hour {
		return Keep{}, fmt.Errorf("%w: %q: size is 1 to %d, ttl 1s to 24h", ErrKeep, text, SizeMax)
	}
	return k, nil
}

// keepOf returns the first rule that covers topic.
func (s *Service) keepOf(topic string) (Keep, bool) {
	for _, k := range s.cfg.History {
		if Match(k.Pattern, topic) {
			return k, true
		}
	}
	return Keep{}, false
}
