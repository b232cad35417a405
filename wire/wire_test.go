package wire_test

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/wire"
)

func TestNewID_SortsByAgeAndNeverRepeats(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	seen := map[string]bool{}
	var ids []string
	for i := range 1000 {
		id := wire.NewID[string](wire.PrefixPayment, at.Add(time.Duration(i)*time.Millisecond))
		if seen[id] {
			t.Fatalf("%s twice", id)
		}
		if err := wire.CheckID(wire.PrefixPayment, id); err != nil || len(id) != len(wire.PrefixPayment)+26 {
			t.Fatalf("%s: %v", id, err)
		}
		seen[id] = true
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("later ids do not sort behind earlier ones")
	}
}

func TestCheck_RefusesOtherKindsAndForeignCharacters(t *testing.T) {
	for _, id := range []string{"", "pay_", "call_1", "pay_A", "pay_1 ", "pay_" + strings.Repeat("a", 65), "pay_é"} {
		if wire.CheckID(wire.PrefixPayment, id) == nil {
			t.Errorf("id %q passes", id)
		}
	}
	for user, good := range map[string]bool{
		"": false, "ann": true, "a.b_c@d:e-9": true, "a b": false, "é": false, "a/b": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
	} {
		if (wire.CheckUser(user) == nil) != good {
			t.Errorf("user %q: good is %v", user, good)
		}
	}
}

func TestCaller_AllowsWhatItsTokenCovers(t *testing.T) {
	all, some := wire.Caller{}, wire.Caller{Scopes: []string{"payments"}}
	if !all.Allows("payments") || !some.Allows("payments") || some.Allows("calls") || !some.Allows("") {
		t.Error("scopes are read wrongly")
	}
}

func TestEvent_SignalsCarryNoNumber(t *testing.T) {
	b, err := json.Marshal(wire.Event{Type: "typing", Time: time.Unix(0, 0).UTC(), Data: json.RawMessage(`{}`)})
	if err != nil || strings.Contains(string(b), "seq") || strings.Contains(string(b), `"id"`) {
		t.Errorf("%s %v", b, err)
	}
}

// The body of an id is base 32 as the standard library writes it.
func TestNewID_IsCrockfordBase32(t *testing.T) {
	crockford := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	now := time.UnixMilli(1767323045678)
	for range 100 {
		id := wire.NewID[string]("x_", now)
		raw, err := crockford.DecodeString(id[2:])
		if err != nil || len(raw) != 16 || crockford.EncodeToString(raw) != id[2:] {
			t.Fatalf("%s: %d bytes, %v", id, len(raw), err)
		}
		if ms := binary.BigEndian.Uint64(raw[:8]) >> 16; ms != uint64(now.UnixMilli()) {
			t.Errorf("%s was made at %d", id, ms)
		}
	}
}
