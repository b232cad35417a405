// Package payments moves money between people as a conversation about it goes
// on: a request, a hold, two live confirmations, a capture, and what may come
// after.
//
// The Intent is a pure state machine; the Service stores it by
// compare-and-set and commits state, postings (payments/ledger) and the event
// about them (payments/outbox) in one transaction. A deadline never captures.
//
// The package knows neither sockets nor chat nor how a confirmation is proven:
// whoever verified one hands it to ConfirmTx in its own transaction.
package payments
