// Package hub holds the sockets of one node: it accepts them, opens their
// sessions, carries requests to the operations behind it and events back, and
// brings a returning client everything it missed.
//
// It knows sockets, sessions, queues and positions in logs. It knows no
// feature: requests go to an Operations, missed entries come from a Log, and
// features publish through wire.Publisher without knowing of the hub.
//
// # What a client may rely on
//
// Every log entry of a conversation reaches an open session once and in the
// order of its number, or the session ends with a close code that says what to
// do. A session knows for each conversation how far it has sent; an entry that
// does not follow on makes it read the log, so that neither a lost nor a
// repeated nor an overtaking publication shows. The socket that caused an entry
// has it in its reply and may be left out, in which case its position moves on.
//
// # How a socket is kept lean
//
// net/http's buffers and the request are let go after the handshake. A few
// pollers read all plain sockets, so that one that says nothing has neither a
// goroutine nor a buffer; TLS connections, which cannot be polled, have both.
// Nobody waits to write: whoever has something to send writes it without
// blocking, what has gathered meanwhile in the same frame, and only what the
// socket refuses is queued, bounded by bytes and age, with a goroutine while it
// lasts. An event is encoded once and its bytes are shared by all sockets.
// Timers are one wheel for all sessions.
//
// # Forms and links
//
// Every message is JSON until it is queued for a session, where it takes the
// session's form: JSON or CBOR in WebSocket frames, compressed where that was
// agreed on, or a server-sent event. A link is what carries it: a WebSocket's
// connection, or a stream with posts for what comes up. All else is the same for
// every session.
package hub
