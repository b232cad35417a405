// Package broker is the bus between the nodes of one Parley: it carries
// publications from the node where something happened to every node that has a
// socket for it.
//
// It owns topics and their subscriptions and knows neither sockets nor what the
// messages mean. It is a doorbell, not a store: a message may be lost (never
// torn, never out of order within a topic from one publisher), and when one may
// have been, the Receiver is told so that it can compare with the truth.
package broker

import (
	"context"
	"errors"
)

// ErrOverflow says that a message was dropped because the bus is too far behind.
var ErrOverflow = errors.New("broker: too many messages under way")

// Kind tells the receiver what a message is for. The broker only carries it.
type Kind uint8

// A Target is one topic that a message goes to, with what narrows it there.
type Target struct {
	Topic string
	// Device, if set, is the only device meant; what else it means is the Kind's business.
	Device string
	// NotSession is the session left out.
	NotSession string
	// NotDevice is the device left out.
	NotDevice string
}

// A Message is one publication. Publishers and receivers share it: nobody
// changes it, or the bytes of Frame, after Publish.
type Message struct {
	Kind Kind
	// Conversation and Seq place a log entry; Seq is 0 for a signal.
	Conversation string
	Seq          int64
	// Epoch is set on publications of streams only, whose place it is with Seq; it
	// does not travel in encoded messages.
	Epoch string
	// Frame is what sockets are sent, encoded once.
	Frame []byte
	To    []Target
}

// Broker carries messages between nodes. All methods may be called at once
// from many goroutines.
type Broker interface {
	// Publish hands m to the receivers of every node that has subscribed to one
	// of its targets' topics, this node included. It never blocks; when the bus
	// is too far behind it drops m and answers ErrOverflow.
	Publish(m *Message) error
	// Subscribe counts one more interest in topic. When it returns nil, what is
	// published from now on reaches the Receiver, or the Receiver is told of a loss.
	Subscribe(ctx context.Context, topic string) error
	// Unsubscribe takes back one Subscribe. Those of one topic take effect in the
	// order of the calls, so that the last Unsubscribe never overtakes a newer Subscribe.
	Unsubscribe(topic string)
	// Run carries messages to r until ctx ends; call it once.
	Run(ctx context.Context, r Receiver) error
}

// Receiver takes what arrives on a node. Its methods are called by one
// goroutine at a time and must not block.
type Receiver interface {
	// Deliver takes a round of messages, in order per topic and publisher. Targets
	// whose topic has no subscription here may have been left out. The slice
	// belongs to the broker again when Deliver returns.
	Deliver(ctx context.Context, round []*Message)
	// Lost says that messages may have been lost before the next Deliver.
	Lost(ctx context.Context)
}
