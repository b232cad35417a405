package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/gowebpki/jcs"

	"parley/wire"
)

// Snapshot is what both people see of a payment and agree to: the amount and
// the payee above all, as dynamic linking demands (RTS on SCA, Article 5).
type Snapshot struct {
	Payment wire.PaymentID
	Version int64
	Amount  int64 // minor units
	// Fee is what the payer pays on top of Amount; 0 leaves it and the total out.
	Fee      int64
	Currency string
	Payee    wire.UserID
	// PayeeName is the name shown to the payer.
	PayeeName string
	// Purpose is what the payment is for, in the payee's words; may be empty.
	Purpose string
	// Expires is when the hold or the request ends; zero when it does not.
	Expires time.Time
}

// safeInteger is the largest integer that JSON numbers carry exactly (RFC 7493 section 2.2).
const safeInteger = 1<<53 - 1

// Canonical returns the snapshot as RFC 8785 canonical JSON and its digest,
// SHA-256 in lower-case hex. It fails with ErrSnapshot for text that is not
// UTF-8 and for numbers that JSON cannot carry exactly, since two different
// payments must never have the same digest.
func (s Snapshot) Canonical() (canonical json.RawMessage, digest string, err error) {
	for _, text := range []string{string(s.Payment), s.Currency, string(s.Payee), s.PayeeName, s.Purpose} {
		if !utf8.ValidString(text) {
			return nil, "", fmt.Errorf("%w: text is not UTF-8", ErrSnapshot)
		}
	}
	if s.Amount < 0 || s.Fee < 0 || s.Amount > safeInteger-s.Fee || s.Version < 0 || s.Version > safeInteger {
		return nil, "", fmt.Errorf("%w: number out of range", ErrSnapshot)
	}
	expires := ""
	if !s.Expires.IsZero() {
		expires = s.Expires.UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	members := map[string]any{
		"v": 1, "payment": s.Payment, "version": s.Version,
		"amount": s.Amount, "currency": s.Currency,
		"payee_id": s.Payee, "payee_name_shown": s.PayeeName,
		"purpose": s.Purpose, "expires": expires,
	}
	if s.Fee != 0 {
		members["fee"], members["total"] = s.Fee, s.Amount+s.Fee
	}
	canonical, err = canonicalJSON(members)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return canonical, digestOf(canonical), nil
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalJSON encodes v and puts it into the form of RFC 8785.
func canonicalJSON(v any) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(b)
}
