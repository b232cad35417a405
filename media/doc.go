// Package media is the SFU-lite: rooms in which everybody sends one Opus
// stream and hears up to twelve others, forwarded without transcoding.
//
// A participant makes one offer: one section for its microphone and as many
// receive-only sections ("slots") as it wants voices. The SFU answers once.
// Who comes later is attached to a free slot and who leaves frees one; nothing
// is negotiated again, so there is no glare and a join costs one round trip.
//
// The package knows rooms, peers, slots and voices. It does not know calls,
// sockets or who may join: its caller decides that, and hears what happens
// through an Observer. It is one of the two doors of pion/webrtc.
package media
