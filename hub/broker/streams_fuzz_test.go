package broker

import (
	"strings"
	"testing"
)

// FuzzCutPlace: what is taken for a place is one, and nothing of the body is lost.
func FuzzCutPlace(f *testing.F) {
	for _, text := range []string{"", "e 1 {}", "e 1 ", "e 0 x", "e -1 x", "e 9223372036854775808 x", "e 01 x", " 1 x", "e  x", "e +1 x", "e 1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, body, ok := cutPlace(text)
		if ok && (p.Seq < 1 || !strings.HasPrefix(text, p.Epoch+" ") || !strings.HasSuffix(text, " "+body)) {
			t.Errorf("%q is taken for %+v and %q", text, p, body)
		}
	})
}

// What arrives as a stream's publication and is none counts, and the receiver is told.
func TestRedis_UnreadablePublicationIsALoss(t *testing.T) {
	r := NewRedis(RedisConfig{})
	r.arrive("t", streamSelf+"no place")
	if _, _, lost := r.local.take(nil); !lost {
		t.Error("nobody is told")
	}
}
