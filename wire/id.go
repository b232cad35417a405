package wire

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Ids are opaque strings: a prefix that names the kind and a 26-character body
// whose first ten characters are the creation time, so that ids of one kind
// sort by age. Users are the exception: their id is the app's own.
type (
	// UserID is the app's id of a person (the "sub" of a token): 1 to 64
	// characters of [A-Za-z0-9._@:-].
	UserID string
	// DeviceID names one installation of an app ("dev_…"). The client makes and keeps it.
	DeviceID string
	// SessionID names one open socket ("ses_…").
	SessionID string
	// ConversationID names a conversation ("conv_…"), or a user's personal one ("self_" + user id).
	ConversationID string
	// MessageID names a message ("msg_…").
	MessageID string
	// EventID names a durable event ("evt_…"), the same in the log and in webhooks.
	EventID string
	// PaymentID names a payment ("pay_…").
	PaymentID string
	// CallID names a call ("call_…").
	CallID string
)

// Prefixes of generated ids.
const (
	PrefixDevice       = "dev_"
	PrefixSession      = "ses_"
	PrefixConversation = "conv_"
	PrefixMessage      = "msg_"
	PrefixEvent        = "evt_"
	PrefixPayment      = "pay_"
	PrefixCall         = "call_"
	PrefixRequest      = "req_"
)

// idDigits are Crockford's base 32.
const (
	idDigits = "0123456789abcdefghjkmnpqrstvwxyz"
	idBody   = 26
)

// NewID returns prefix followed by 26 characters: 48 bits of the time in
// milliseconds, then 80 random bits, in lower-case Crockford base 32.
func NewID[T ~string](prefix string, now time.Time) T {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	if _, err := rand.Read(b[6:]); err != nil {
		panic(fmt.Sprintf("wire: no randomness: %v", err)) // never returns an error since Go 1.24
	}
	return T(appendBase32(append(make([]byte, 0, len(prefix)+idBody), prefix...), b))
}

// appendBase32 appends b as encoding/base32 would without padding; ids are made
// for every request, so it does just that.
func appendBase32(to []byte, b [16]byte) []byte {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	for range idBody - 1 {
		to = append(to, idDigits[hi>>59])
		hi, lo = hi<<5|lo>>59, lo<<5
	}
	return append(to, idDigits[hi>>59])
}

// ErrID says that a string is not an id of the wanted kind.
var ErrID = errors.New("not an id of this kind")

// CheckID reports whether s has the prefix and a body of 1 to 64 characters of [a-z0-9].
func CheckID(prefix, s string) error {
	body, ok := strings.CutPrefix(s, prefix)
	if !ok || body == "" || len(body) > 64 {
		return fmt.Errorf("%w: want %s…", ErrID, prefix)
	}
	for _, r := range body {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return fmt.Errorf("%w: want %s…", ErrID, prefix)
		}
	}
	return nil
}

// CheckUser reports whether s may be a user id.
func CheckUser(s string) error {
	if s == "" || len(s) > 64 {
		return fmt.Errorf("%w: a user id has 1 to 64 characters", ErrID)
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case strings.ContainsRune("._@:-", r):
		default:
			return fmt.Errorf("%w: a user id has only letters, digits and . _ @ : -", ErrID)
		}
	}
	return nil
}

// SelfConversation returns the id of a user's personal conversation.
func SelfConversation(u UserID) ConversationID { return ConversationID("self_" + string(u)) }
