// Package topics is open topics: named channels without members, for many
// listeners, such as a merchant's live prices or the display of a queue. It
// owns names, patterns, who may join and publish, and what a joining client is
// told: where the topic stands, what it missed, or that it has a gap.
//
// It knows neither sockets nor the bus: Seats are the sockets that listen, and
// Streams number and keep what is published. Nothing in a topic is durable;
// what must not be lost belongs into a conversation.
package topics
