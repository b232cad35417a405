// Package wire holds the words that travel between Parley's parts and to its
// clients: typed ids, the caller of an operation, events, and problems.
//
// It owns no behaviour beyond encoding. Every other package may import it; it
// imports nothing of ours.
package wire
