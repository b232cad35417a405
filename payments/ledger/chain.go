package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// chainDomain separates these hashes from all others and names the encoding.
const chainDomain = "parley/ledger/1"

// row is a transfer as the journal keeps it.
type row struct {
	seq         int64
	id          string
	kind        Kind
	resolves    string
	reference   string
	effectiveAt int64
	recordedAt  int64
	expiresAt   int64
	note        string
	postings    []posting
}

// link returns SHA-256 over the previous row's hash and every column of r and
// its postings, sequence and id included. Strings are preceded by their length
// (4 bytes), integers are 8 bytes, big endian.
func (r *row) link(prev [32]byte) [32]byte {
	b := make([]byte, 0, 512)
	b = append(b, chainDomain...)
	b = append(b, prev[:]...)
	b = appendInt(b, r.seq)
	for _, s := range [...]string{r.id, string(r.kind), r.resolves, r.reference, r.note} {
		b = appendString(b, s)
	}
	for _, n := range [...]int64{r.effectiveAt, r.recordedAt, r.expiresAt, int64(len(r.postings))} {
		b = appendInt(b, n)
	}
	for _, p := range r.postings {
		b = appendString(b, p.Account)
		b = appendString(b, p.Currency)
		b = appendInt(b, p.Amount)
		b = appendInt(b, p.balance)
	}
	return sha256.Sum256(b)
}

func appendInt(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// parseHash reads a hash column; an empty ledger's head is all zeros.
func parseHash(s string) (h [32]byte, err error) {
	if len(s) == hex.EncodedLen(len(h)) {
		if _, err := hex.Decode(h[:], []byte(s)); err == nil {
			return h, nil
		}
	}
	return h, fmt.Errorf("ledger: hash %.80q is not 64 hex digits", s)
}

// termsNote writes an account's terms into the note of the row that opens it,
// so that the chain covers them.
func termsNote(currency string, t Terms) string {
	return fmt.Sprintf("currency=%s kind=%s may_go_negative=%t ceiling=%d", currency, t.Kind, t.MayGoNegative, t.Ceiling)
}
