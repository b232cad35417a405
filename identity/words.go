package identity

import (
	"crypto/hkdf"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"parley/wire"
)

//go:embed words_en.txt
var wordsEN string

// The labels that separate our hashes from each other and from anyone else's.
const (
	labelTranscript = "parley/transcript/1"
	labelCommit     = "parley/commit/1"
	labelConfirm    = "parley/confirm/1"
	labelNoWords    = "parley/transcript/sfu/1"
)

// WordList returns the 256 English words, in order.
func WordList() []string { return strings.Fields(wordsEN) }

// Side is what one end of a call puts into the transcript.
type Side struct {
	User        wire.UserID
	Fingerprint [32]byte // SHA-256 of its DTLS certificate (RFC 8122)
	Nonce       [32]byte
}

// Transcript binds a call to the keys and nonces of its two ends, the caller
// and the device that answered: SHA-256 over the label, the length-prefixed
// call and user ids, both fingerprints and both nonces.
func Transcript(call wire.CallID, caller, callee Side) [32]byte {
	b := []byte(labelTranscript)
	b = appendPrefixed(b, string(call))
	b = appendPrefixed(b, string(caller.User))
	b = appendPrefixed(b, string(callee.User))
	b = append(b, caller.Fingerprint[:]...)
	b = append(b, callee.Fingerprint[:]...)
	b = append(b, caller.Nonce[:]...)
	b = append(b, callee.Nonce[:]...)
	return sha256.Sum256(b)
}

// Commit is what the caller sends before it sees the callee's nonce, so that
// nobody in between can look for a nonce that gives the same words.
func Commit(caller Side) [32]byte {
	b := []byte(labelCommit)
	b = append(b, caller.Nonce[:]...)
	return sha256.Sum256(append(b, caller.Fingerprint[:]...))
}

// noWords stands in for the transcript of a call whose media goes through the
// server: it names the call and the two people and claims nothing about keys.
func noWords(call wire.CallID, payer, payee wire.UserID) [32]byte {
	b := appendPrefixed([]byte(labelNoWords), string(call))
	return sha256.Sum256(appendPrefixed(appendPrefixed(b, string(payer)), string(payee)))
}

// appendPrefixed appends s after its length as two bytes, big-endian. Ids are
// far shorter than that can count.
func appendPrefixed(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// Words derives from a transcript what both people read aloud: two words, and
// four digits for those who cannot.
func Words(transcript [32]byte) (words [2]string, digits string) {
	key, err := hkdf.Key(sha256.New, transcript[:], nil, "words", 4)
	if err != nil {
		panic(fmt.Sprintf("identity: HKDF of 4 bytes: %v", err)) // fails only for lengths over 8,160
	}
	list := WordList()
	words[0], words[1] = list[key[0]], list[key[1]]
	return words, fmt.Sprintf("%04d", binary.BigEndian.Uint16(key[2:])%10000)
}

// Challenge is what a passkey signs to confirm: SHA-256 over the label, the
// digest of the payment, the transcript of the call and the party's nonce.
func Challenge(digest, transcript, nonce [32]byte) [32]byte {
	b := []byte(labelConfirm)
	b = append(b, digest[:]...)
	b = append(b, transcript[:]...)
	return sha256.Sum256(append(b, nonce[:]...))
}

var errNotHash = errors.New("not 64 lower-case hex digits")

// parseHash reads the hex form in which digests and transcripts travel. There
// is one spelling, so that equal strings and equal hashes are the same thing.
func parseHash(s string) (h [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) || strings.ToLower(s) != s {
		return h, errNotHash
	}
	return [32]byte(b), nil
}
