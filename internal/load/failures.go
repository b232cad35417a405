package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"parley/wire"
)

// failures count errors, and keep what they said.
type failures struct {
	mu   sync.Mutex
	n    int64
	said map[string]int64
}

// maxSaid bounds how many different errors are kept; those beyond count as "other".
const maxSaid = 16

func (f *failures) add(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.said = addSaid(f.said, text, 1)
}

// addSaid counts n more errors that said text.
func addSaid(said map[string]int64, text string, n int64) map[string]int64 {
	if said == nil {
		said = map[string]int64{}
	}
	if said[text] == 0 && len(said) >= maxSaid {
		text = "other"
	}
	said[text] += n
	return said
}

// mergeSaid adds what b counted to a.
func mergeSaid(a, b map[string]int64) map[string]int64 {
	for _, text := range slices.Sorted(maps.Keys(b)) {
		a = addSaid(a, text, b[text])
	}
	return a
}

// take hands out what was counted and begins anew.
func (f *failures) take() (n int64, said map[string]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, said = f.n, f.said
	f.n, f.said = 0, nil
	return n, said
}

// plain is what err says without the addresses that differ from one connection
// to the next.
func plain(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// refusal is what an answer that is an error says, without what differs from one
// request to the next.
func refusal(e *wire.ReplyError) string {
	if e.Data != nil && e.Data.Code != "" {
		return string(e.Data.Code)
	}
	return fmt.Sprintf("%d %s", e.Code, e.Message)
}

// refusalIn is what an answer that is an error says.
func refusalIn(message []byte) string {
	var a struct{ Error *wire.ReplyError }
	if err := json.Unmarshal(message, &a); err != nil || a.Error == nil {
		return "an answer that cannot be read"
	}
	return refusal(a.Error)
}

// saidText writes the errors for people, the most frequent first.
func saidText(said map[string]int64) string {
	texts := slices.SortedFunc(maps.Keys(said), func(a, b string) int {
		if said[a] != said[b] {
			return int(said[b] - said[a])
		}
		return strings.Compare(a, b)
	})
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%d × %s", said[text], text)
	}
	return strings.Join(texts, ", ")
}
