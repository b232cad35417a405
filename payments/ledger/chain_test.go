package ledger

import (
	"encoding/hex"
	"testing"
)

// TestLink_CoversEveryField changes one field at a time: each must change the
// hash. The vector at the end keeps the encoding from changing unnoticed, which
// would break every chain that exists.
func TestLink_CoversEveryField(t *testing.T) {
	sample := func() *row {
		return &row{seq: 7, id: "tr_1", kind: Posted, resolves: "p", reference: "r", effectiveAt: 1, recordedAt: 2, expiresAt: 3, note: "n",
			postings: []posting{{Leg{"a", "EUR", -5}, 10}, {Leg{"b", "EUR", 5}, 20}}}
	}
	var prev [32]byte
	seen := map[[32]byte]string{sample().link(prev): "unchanged"}
	for name, change := range map[string]func(*row){
		"seq":              func(r *row) { r.seq++ },
		"id":               func(r *row) { r.id = "tr_2" },
		"kind":             func(r *row) { r.kind = Pending },
		"resolves":         func(r *row) { r.resolves = "q" },
		"reference":        func(r *row) { r.reference = "s" },
		"moved boundary":   func(r *row) { r.resolves, r.reference = "pr", "" },
		"effective":        func(r *row) { r.effectiveAt++ },
		"recorded":         func(r *row) { r.recordedAt++ },
		"expires":          func(r *row) { r.expiresAt++ },
		"note":             func(r *row) { r.note = "" },
		"account":          func(r *row) { r.postings[0].Account = "c" },
		"currency":         func(r *row) { r.postings[0].Currency = "USD" },
		"amount":           func(r *row) { r.postings[1].Amount++ },
		"balance":          func(r *row) { r.postings[1].balance++ },
		"order of legs":    func(r *row) { r.postings[0], r.postings[1] = r.postings[1], r.postings[0] },
		"one leg less":     func(r *row) { r.postings = r.postings[:1] },
		"no legs whatever": func(r *row) { r.postings = nil },
	} {
		r := sample()
		change(r)
		h := r.link(prev)
		if other, ok := seen[h]; ok {
			t.Errorf("%s hashes like %s", name, other)
		}
		seen[h] = name
	}
	if _, ok := seen[sample().link([32]byte{1})]; ok {
		t.Error("the previous hash is not covered")
	}
	const want = "b187904e26e977021b6cbaa8ffa782634eae787514060af1a9fe80753ff2de94"
	if h := sample().link(prev); hex.EncodeToString(h[:]) != want {
		t.Errorf("the encoding changed: %x", h)
	}
}
