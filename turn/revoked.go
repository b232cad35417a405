package turn

import "sync"

// maxRevoked bounds how many ended calls are remembered; the oldest is forgotten first.
const maxRevoked = 1 << 16

// revocations remembers calls whose credentials are void although they have not expired.
type revocations struct {
	mu    sync.Mutex
	calls map[string]bool
	order []string // ring once full
	next  int
}

func (r *revocations) add(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[call] {
		return
	}
	if r.calls == nil {
		r.calls = map[string]bool{}
	}
	r.calls[call] = true
	if len(r.order) < maxRevoked {
		r.order = append(r.order, call)
		return
	}
	delete(r.calls, r.order[r.next])
	r.order[r.next] = call
	r.next = (r.next + 1) % maxRevoked
}

func (r *revocations) has(call string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[call]
}
