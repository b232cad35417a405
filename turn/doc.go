// Package turn is the STUN and TURN server inside Parley (RFC 8489, RFC 8656):
// UDP, TCP and TLS for clients, UDP towards peers.
//
// It owns its sockets, its stream framing, its authentication and its peer
// policy. pion/turn keeps the state of allocations behind an [engine] and sees
// only requests that this package has parsed, authenticated and written anew.
// It knows calls and users as words in a credential, nothing more.
//
// A packet passes these places:
//
//	listener or stream -> guard.handle -> requests (control) -> engine
//	                                   -> allocation.toPeer (data) -> peer
//	peer -> allocation.fromPeer -> client
//
// toPeer and fromPeer are the whole data plane: what moves packets faster than
// a goroutine per socket only has to call these two.
package turn
