package turn

import "sync"

// quota counts allocations per user, per call and per user within a call.
type quota struct {
	perUserInCall, perUser, perCall int

	mu    sync.Mutex
	count map[quotaKey]int
}

// quotaKey leaves call or user empty to count over all of them.
type quotaKey struct{ call, user string }

func quotaKeys(id identity) [3]quotaKey {
	return [3]quotaKey{{id.call, id.user}, {"", id.user}, {id.call, ""}}
}

// take counts one more allocation, or reports false and counts nothing.
func (q *quota) take(id identity) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	keys := quotaKeys(id)
	for i, limit := range [3]int{q.perUserInCall, q.perUser, q.perCall} {
		if q.count[keys[i]] >= limit {
			return false
		}
	}
	for _, k := range keys {
		q.count[k]++
	}
	return true
}

// give returns what take counted.
func (q *quota) give(id identity) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range quotaKeys(id) {
		if q.count[k]--; q.count[k] <= 0 {
			delete(q.count, k)
		}
	}
}
