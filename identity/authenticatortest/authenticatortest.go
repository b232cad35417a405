// Package authenticatortest is a passkey in software, for tests: it registers
// and asserts with real keys, real CBOR and real signatures, given the options
// that a server sends and the origin a browser would be on. It can also lie,
// so that a server's checks can be seen to work.
package authenticatortest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// Flags of authenticator data (WebAuthn section 6.1).
const (
	flagPresent  = 1 << 0
	flagVerified = 1 << 2
	flagAttested = 1 << 6
)

// Lies are ways in which the next answers differ from an honest device's.
type Lies struct {
	// RPID stands in for the relying party's id.
	RPID string
	// Type stands in for the type in the client data, for example payment.get.
	Type string
	// Challenge, base64url, stands in for the one in the options.
	Challenge string
	// NotVerified and NotPresent leave out the flags.
	NotVerified, NotPresent bool
	// Counter, if not nil, stands in for the signature counter.
	Counter *uint32
	// CrossOrigin says that the page was framed by another site.
	CrossOrigin bool
	// WrongSignature signs something else.
	WrongSignature bool
	// CredentialID stands in for the credential's id.
	CredentialID []byte
}

// Authenticator holds the passkeys of one device. Its methods are safe for
// concurrent use; Lies must not be changed meanwhile.
type Authenticator struct {
	Lies Lies

	mu   sync.Mutex
	keys []*key
}

type key struct {
	id      []byte
	rpID    string
	user    []byte
	private *ecdsa.PrivateKey
	counter uint32
}

// ErrNoCredential says that none of the credentials asked for is on the device.
var ErrNoCredential = errors.New("authenticatortest: no credential for these options")

// encoded is base64url without padding.
func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decoded(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

// Register makes a passkey for PublicKeyCredentialCreationOptions in their JSON
// form and returns what toJSON() of the new credential would.
func (a *Authenticator) Register(options json.RawMessage, origin string) (json.RawMessage, error) {
	var o struct {
		Challenge          string
		RP                 struct{ ID string }
		User               struct{ ID string }
		ExcludeCredentials []struct{ ID string }
		PubKeyCredParams   []struct{ Alg int }
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, fmt.Errorf("authenticatortest: options: %w", err)
	}
	user, err := decoded(o.User.ID)
	if err != nil {
		return nil, fmt.Errorf("authenticatortest: user id: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, excluded := range o.ExcludeCredentials {
		if a.find(o.RP.ID, excluded.ID) != nil {
			return nil, errors.New("authenticatortest: registered already (InvalidStateError)")
		}
	}
	k, err := newKey(o.RP.ID, user)
	if err != nil {
		return nil, err
	}
	a.keys = append(a.keys, k)
	data := append(a.authData(k, flagAttested), k.attested()...)
	return json.Marshal(map[string]any{
		"id": encoded(k.id), "rawId": encoded(k.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON":    encoded(a.clientData("webauthn.create", o.Challenge, origin)),
			"attestationObject": encoded(attestationNone(data)),
			"transports":        []string{"internal"},
		},
	})
}

// Assert signs PublicKeyCredentialRequestOptions in their JSON form and returns
// what toJSON() of the credential would, or ErrNoCredential.
func (a *Authenticator) Assert(options json.RawMessage, origin string) (json.RawMessage, error) {
	var o struct {
		Challenge        string
		RPID             string `json:"rpId"`
		AllowCredentials []struct{ ID string }
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, fmt.Errorf("authenticatortest: options: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var k *key
	for _, allowed := range o.AllowCredentials {
		if k = a.find(o.RPID, allowed.ID); k != nil {
			break
		}
	}
	if k == nil {
		return nil, ErrNoCredential
	}
	k.counter++
	data, client := a.authData(k, 0), a.clientData("webauthn.get", o.Challenge, origin)
	signature, err := a.sign(k, data, client)
	if err != nil {
		return nil, err
	}
	id := k.id
	if a.Lies.CredentialID != nil {
		id = a.Lies.CredentialID
	}
	return json.Marshal(map[string]any{
		"id": encoded(id), "rawId": encoded(id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": encoded(client), "authenticatorData": encoded(data),
			"signature": encoded(signature), "userHandle": encoded(k.user),
		},
	})
}

func newKey(rpID string, user []byte) (*key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &key{id: make([]byte, 32), rpID: rpID, user: user, private: private}
	_, err = rand.Read(k.id)
	return k, err
}

func (a *Authenticator) find(rpID, id string) *key {
	for _, k := range a.keys {
		if k.rpID == rpID && encoded(k.id) == id {
			return k
		}
	}
	return nil
}

func (a *Authenticator) clientData(kind, challenge, origin string) []byte {
	if a.Lies.Type != "" {
		kind = a.Lies.Type
	}
	if a.Lies.Challenge != "" {
		challenge = a.Lies.Challenge
	}
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": a.Lies.CrossOrigin})
	if err != nil {
		panic(err) // strings and a bool
	}
	return b
}

// authData returns rpIdHash, flags and counter.
func (a *Authenticator) authData(k *key, flags byte) []byte {
	rpID, counter := k.rpID, k.counter
	if a.Lies.RPID != "" {
		rpID = a.Lies.RPID
	}
	if a.Lies.Counter != nil {
		counter = *a.Lies.Counter
	}
	if !a.Lies.NotPresent {
		flags |= flagPresent
	}
	if !a.Lies.NotVerified {
		flags |= flagVerified
	}
	hash := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), counter)
}

func (a *Authenticator) sign(k *key, authData, clientData []byte) ([]byte, error) {
	client := sha256.Sum256(clientData)
	signed := append(append([]byte{}, authData...), client[:]...)
	if a.Lies.WrongSignature {
		signed = append(signed, 0)
	}
	digest := sha256.Sum256(signed)
	return ecdsa.SignASN1(rand.Reader, k.private, digest[:])
}

// attested returns the attested credential data: AAGUID, id and public key.
func (k *key) attested() []byte {
	b := make([]byte, 16)
	b = binary.BigEndian.AppendUint16(b, uint16(len(k.id)))
	b = append(b, k.id...)
	point, err := k.private.PublicKey.Bytes()
	if err != nil {
		panic(err) // made by us, on P-256
	}
	// COSE_Key: kty EC2, alg ES256, crv P-256, x, y (RFC 9053 section 7.1.1).
	b = append(b, 0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21)
	b = appendBytes(b, point[1:33])
	b = append(b, 0x22)
	return appendBytes(b, point[33:])
}

// attestationNone wraps authData in an attestation object of format "none".
func attestationNone(authData []byte) []byte {
	b := []byte{0xa3}
	b = appendText(b, "fmt")
	b = appendText(b, "none")
	b = appendText(b, "attStmt")
	b = append(b, 0xa0)
	b = appendText(b, "authData")
	return appendBytes(b, authData)
}

// appendBytes appends a CBOR byte string, appendText a text string.
func appendBytes(b, s []byte) []byte { return append(appendHead(b, 0x40, len(s)), s...) }

func appendText(b []byte, s string) []byte { return append(appendHead(b, 0x60, len(s)), s...) }

func appendHead(b []byte, major byte, n int) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 256:
		return append(b, major|24, byte(n))
	}
	return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
}
