package client

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
)

// Proof is one side of a finished commit-and-reveal run: what both ends must
// find equal for the words on their screens to be equal.
type Proof struct {
	Call         string
	UserA, UserB string // caller, answering callee
	FpA, FpB     []byte // SHA-256 certificate fingerprints
	NonceA       []byte
	NonceB       []byte
}

// Transcript is the hex SHA-256 that binds the call, both people and both
// certificates; the layout is in docs/protocol.md.
func (p Proof) Transcript() string {
	h := sha256.New()
	h.Write([]byte("parley/transcript/1"))
	for _, s := range []string{p.Call, p.UserA, p.UserB} {
		writePrefixed(h, s)
	}
	for _, b := range [][]byte{p.FpA, p.FpB, p.NonceA, p.NonceB} {
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func writePrefixed(h hash.Hash, s string) {
	var n [2]byte
	binary.BigEndian.PutUint16(n[:], uint16(len(s))) //nolint:gosec // ids have at most 64 bytes
	h.Write(n[:])
	h.Write([]byte(s))
}

// Commitment is the hex SHA-256 by which the caller binds itself to a nonce
// before it sees the other's.
func Commitment(nonce, fp []byte) string {
	h := sha256.New()
	h.Write([]byte("parley/commit/1"))
	h.Write(nonce)
	h.Write(fp)
	return hex.EncodeToString(h.Sum(nil))
}

// errDiffer says that somebody between the two ends lied about a certificate.
var errDiffer = errors.New("client: the keys of the call do not fit what the other side says")

// verification is one run of commit and reveal.
type verification struct {
	caller      bool
	own, remote []byte
	nonce       []byte
	commit      string
	send        func(kind string, data any)
	done        func(nonceA, nonceB []byte)
}

type keyMessage struct {
	Commit string `json:"commit,omitempty"`
	Nonce  string `json:"nonce,omitempty"`
	Fp     string `json:"fp,omitempty"`
}

func (v *verification) begin() {
	v.nonce = make([]byte, 32)
	_, _ = rand.Read(v.nonce) // never fails since Go 1.24
	if v.caller {
		v.send("commit", keyMessage{Commit: Commitment(v.nonce, v.own)})
	}
}

func (v *verification) take(kind string, m keyMessage) error {
	mine := keyMessage{Nonce: hex.EncodeToString(v.nonce), Fp: hex.EncodeToString(v.own)}
	if kind == "commit" && !v.caller && v.commit == "" {
		v.commit = m.Commit
		v.send("nonce", mine)
		return nil
	}
	nonce, err := hex.DecodeString(m.Nonce)
	if err != nil || len(nonce) != 32 {
		return errDiffer
	}
	fp, err := hex.DecodeString(m.Fp)
	if err != nil || subtle.ConstantTimeCompare(fp, v.remote) != 1 {
		return errDiffer
	}
	switch {
	case kind == "nonce" && v.caller:
		v.send("reveal", mine)
		v.done(v.nonce, nonce)
	case kind == "reveal" && !v.caller && v.commit == Commitment(nonce, fp):
		v.done(nonce, v.nonce)
	default:
		return errDiffer
	}
	return nil
}
