// Package signaling owns calls: who rings, who answered, who is still there,
// and why it ended.
//
// [Call] is a pure state machine; [Service] stores it in SQL by compare-and-set
// on its version, so that any node may act on any call and the death of a node
// ends none. Timers are rows that any node sweeps. SDP, ICE candidates and the
// commit and reveal of verification words pass through and are kept nowhere.
//
// It knows no socket, no money and no media: what it needs of them it asks
// through the small interfaces in [Deps].
package signaling
