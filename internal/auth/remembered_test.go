package auth

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"parley/wire"
)

// However many tokens come, so many are remembered; one that is asked for stays.
func TestRemembered_IsBounded(t *testing.T) {
	var r remembered
	is := &issuer{}
	sum := func(n int) [sha256.Size]byte {
		return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	r.put(sum(0), Identity{Caller: wire.Caller{User: "first"}}, is, 0)
	for n := 1; n < 5*rememberedMax; n++ {
		r.put(sum(n), Identity{}, is, 0)
		if n%1000 == 0 {
			if id, ok := r.find(sum(0)); !ok || id.Caller.User != "first" {
				t.Fatalf("forgotten after %d others", n)
			}
		}
	}
	if n := len(r.new) + len(r.old); n > 2*rememberedMax {
		t.Errorf("%d are remembered", n)
	}
	if _, ok := r.find(sum(1)); ok {
		t.Error("one that nobody asked for is remembered")
	}
}
