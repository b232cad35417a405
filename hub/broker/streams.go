package broker

import (
	"context"
	"errors"
	"time"
)

// ErrUnavailable says that streams cannot be reached now. Whether what was
// asked for happened is unknown.
var ErrUnavailable = errors.New("broker: streams cannot be reached")

// KindStream is the Kind of messages that a Streams publishes: Epoch and Seq
// are the publication's place and Frame is its body.
const KindStream Kind = 64

// A Place is a position in a stream. Numbers count from 1 within an epoch; when
// a stream is forgotten and begins anew, it has another epoch, so that nobody
// takes its numbers for those of before.
type Place struct {
	Epoch string
	Seq   int64
}

// A Draft is a publication that has no place yet.
type Draft struct {
	Topic string
	// Head and Tail are the parts of a JSON object between which its members seq
	// and epoch are written.
	Head, Tail []byte
	// Keep is how many of the last publications are kept, and TTL for how long; 0 keeps none.
	Keep int
	TTL  time.Duration
	// Once, if set, names the publication: the same name within onceTime answers
	// the place of the first and publishes nothing.
	Once string
}

// onceTime is how long names of publications are remembered.
const onceTime = 5 * time.Minute

// idleTime is how long a stream is remembered that nobody publishes to or has joined.
const idleTime = 24 * time.Hour

// A Page is a part of what is kept of a stream.
type Page struct {
	// Head is the last publication's place.
	Head Place
	// Events are the bodies of the publications First, First+1, ….
	First  int64
	Events [][]byte
}

// FromLast as after asks Read for the last publications.
const FromLast = int64(-1)

// Streams number what is published to topics, keep the last of it where asked
// to, and publish it on a Broker with its place, in the order of the numbers.
// Their methods may be called from many goroutines.
type Streams interface {
	// Append publishes d. An error may wrap ErrUnavailable.
	Append(ctx context.Context, d Draft) (Place, error)
	// Read returns up to limit of the kept publications numbered after after, or
	// the last ones (FromLast). Whoever subscribed to the topic before has heard,
	// or will hear, of everything after the page's Head.
	Read(ctx context.Context, topic string, after int64, limit int) (Page, error)
	// Renew begins a new epoch, unless epoch is over already. It is for streams
	// that were seen to go back, for example because Redis lost what it had.
	Renew(ctx context.Context, topic, epoch string) error
	// Report tells the other nodes how many have joined topics here. It must be
	// repeated within reportTime.
	Report(ctx context.Context, joined map[string]int) error
	// Elsewhere is how many have joined topic on the other nodes.
	Elsewhere(ctx context.Context, topic string) (int, error)
}

// reportTime is how long a node's report counts.
const reportTime = 30 * time.Second
