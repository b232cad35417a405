package identity_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/identity"
	"parley/wire"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

// vectors is the file that clients in other languages test against too. All
// bytes are lower-case hex but nonce and challenge of a confirmation, which
// are base64url as on the wire.
type vectors struct {
	Transcripts   []transcriptVector   `json:"transcripts"`
	Snapshots     []snapshotVector     `json:"snapshots"`
	Confirmations []confirmationVector `json:"confirmations"`
}

type transcriptVector struct {
	Call         wire.CallID `json:"call"`
	Caller       wire.UserID `json:"caller"`
	Callee       wire.UserID `json:"callee"`
	CallerFP     string      `json:"caller_fingerprint"`
	CalleeFP     string      `json:"callee_fingerprint"`
	CallerNonce  string      `json:"caller_nonce"`
	CalleeNonce  string      `json:"callee_nonce"`
	Commit       string      `json:"commit"`
	Transcript   string      `json:"transcript"`
	Words        [2]string   `json:"words"`
	Digits       string      `json:"digits"`
	fpA, fpB     [32]byte
	nonA, nonceB [32]byte
}

type snapshotVector struct {
	Payment   wire.PaymentID `json:"payment"`
	Version   int64          `json:"version"`
	Amount    int64          `json:"amount"`
	Currency  string         `json:"currency"`
	Payee     wire.UserID    `json:"payee_id"`
	PayeeName string         `json:"payee_name_shown"`
	Purpose   string         `json:"purpose"`
	Expires   string         `json:"expires"`
	Canonical string         `json:"canonical"`
	Digest    string         `json:"digest"`
}

type confirmationVector struct {
	Digest     string `json:"digest"`
	Transcript string `json:"transcript"`
	Nonce      string `json:"nonce"`
	Challenge  string `json:"challenge"`
}

// pattern returns 32 bytes start, start+step, …
func pattern(start, step byte) (b [32]byte) {
	for i := range b {
		b[i] = start + byte(i)*step
	}
	return b
}

func makeVectors(t *testing.T) vectors {
	t.Helper()
	var v vectors
	for _, c := range []transcriptVector{
		{Call: "call_06f3k2p8w4c9g5h1j7m2n6q8rs", Caller: "buyer", Callee: "seller", fpA: pattern(0, 1), fpB: pattern(255, 255), nonA: pattern(7, 3), nonceB: pattern(9, 5)},
		{Call: "call_1", Caller: "seller", Callee: "buyer", fpA: pattern(255, 255), fpB: pattern(0, 1), nonA: pattern(9, 5), nonceB: pattern(7, 3)},
		{Call: "call_1", Caller: "a", Callee: "user@example.com:2"},
		{Call: "call_1a", Caller: "", Callee: "user@example.com:2", nonA: pattern(1, 0)},
	} {
		caller := identity.Side{User: c.Caller, Fingerprint: c.fpA, Nonce: c.nonA}
		callee := identity.Side{User: c.Callee, Fingerprint: c.fpB, Nonce: c.nonceB}
		transcript, commit := identity.Transcript(c.Call, caller, callee), identity.Commit(caller)
		c.CallerFP, c.CalleeFP = hex.EncodeToString(c.fpA[:]), hex.EncodeToString(c.fpB[:])
		c.CallerNonce, c.CalleeNonce = hex.EncodeToString(c.nonA[:]), hex.EncodeToString(c.nonceB[:])
		c.Commit, c.Transcript = hex.EncodeToString(commit[:]), hex.EncodeToString(transcript[:])
		c.Words, c.Digits = identity.Words(transcript)
		v.Transcripts = append(v.Transcripts, c)
	}
	for _, s := range []identity.Snapshot{
		{Payment: "pay_06f3k2p8w4c9g5h1j7m2n6q8rs", Version: 1, Amount: 12000, Currency: "EUR", Payee: "seller", PayeeName: "V. Seller", Purpose: "Bike", Expires: time.Date(2026, 11, 29, 18, 0, 0, 0, time.UTC)},
		{Payment: "pay_1", Version: 2, Amount: 0, Currency: "JPY", Payee: "s", PayeeName: "Žofie \"Q\" <&> \u2028 漢字 😀", Purpose: "", Expires: time.Time{}},
		{Payment: "pay_1", Version: 3, Amount: 1<<53 - 1, Currency: "BHD", Payee: "s", PayeeName: "x", Purpose: "line\nbreak\ttab\\ \x7f", Expires: time.Date(2026, 1, 2, 3, 4, 5, 999_999_999, time.FixedZone("", 7200))},
	} {
		canonical, digest, err := s.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		expires := ""
		if !s.Expires.IsZero() {
			expires = s.Expires.UTC().Format("2006-01-02T15:04:05Z")
		}
		v.Snapshots = append(v.Snapshots, snapshotVector{s.Payment, s.Version, s.Amount, s.Currency, s.Payee, s.PayeeName, s.Purpose, expires, string(canonical), digest})
	}
	for i, s := range v.Snapshots {
		nonce := pattern(byte(40*i), 11)
		tr, err := hex.DecodeString(v.Transcripts[i].Transcript)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := hex.DecodeString(s.Digest)
		if err != nil {
			t.Fatal(err)
		}
		challenge := identity.Challenge([32]byte(digest), [32]byte(tr), nonce)
		v.Confirmations = append(v.Confirmations, confirmationVector{
			s.Digest, v.Transcripts[i].Transcript,
			base64.RawURLEncoding.EncodeToString(nonce[:]), base64.RawURLEncoding.EncodeToString(challenge[:]),
		})
	}
	return v
}

func TestVectors(t *testing.T) {
	file := filepath.Join("testdata", "vectors.json")
	got, err := json.MarshalIndent(makeVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s no longer holds: clients would disagree with the server. Got\n%s", file, got)
	}
}

func TestTranscript_EveryPartCounts(t *testing.T) {
	a := identity.Side{User: "a", Fingerprint: pattern(1, 1), Nonce: pattern(2, 1)}
	b := identity.Side{User: "b", Fingerprint: pattern(3, 1), Nonce: pattern(4, 1)}
	seen := map[[32]byte]string{}
	add := func(what string, h [32]byte) {
		if other, ok := seen[h]; ok {
			t.Errorf("%s equals %s", what, other)
		}
		seen[h] = what
	}
	add("base", identity.Transcript("call_1", a, b))
	add("call", identity.Transcript("call_2", a, b))
	add("sides swapped", identity.Transcript("call_1", b, a))
	add("id boundary", identity.Transcript("call_1a", identity.Side{Fingerprint: a.Fingerprint, Nonce: a.Nonce}, b))
	for i, edit := range []func(a, b *identity.Side){
		func(a, _ *identity.Side) { a.User = "c" }, func(_, b *identity.Side) { b.User = "c" },
		func(a, _ *identity.Side) { a.Fingerprint[31]++ }, func(_, b *identity.Side) { b.Fingerprint[0]++ },
		func(a, _ *identity.Side) { a.Nonce[31]++ }, func(_, b *identity.Side) { b.Nonce[0]++ },
	} {
		a, b := a, b
		edit(&a, &b)
		add(string(rune('0'+i)), identity.Transcript("call_1", a, b))
	}
}

// sound is a crude spelling of how a word is heard over a poor line: letters
// that sound alike are one, doubled ones are single.
func sound(w string) string {
	w = strings.NewReplacer("ph", "f", "ck", "k", "qu", "kw", "x", "ks", "ce", "se", "ci", "si", "cy", "si", "c", "k").Replace(w)
	w = strings.NewReplacer("b", "p", "d", "t", "g", "k", "v", "f", "j", "s", "z", "s", "m", "n", "y", "i", "a", "e", "i", "e", "o", "u").Replace(w)
	return string(slices.Compact([]byte(w)))
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func TestWordList_IsEasyToTellApart(t *testing.T) {
	list := identity.WordList()
	if len(list) != 256 || !slices.IsSorted(list) {
		t.Fatalf("%d words, sorted: %v", len(list), slices.IsSorted(list))
	}
	form := regexp.MustCompile(`^[a-z]{3,7}$`)
	for i, a := range list {
		if !form.MatchString(a) {
			t.Errorf("%q is not 3 to 7 letters", a)
		}
		for _, b := range list[i+1:] {
			if distance(a, b) < 3 || distance(sound(a), sound(b)) < 2 {
				t.Errorf("%s and %s are too close (%s, %s)", a, b, sound(a), sound(b))
			}
		}
	}
}

func TestSnapshot_RefusesWhatTwoPaymentsCouldShare(t *testing.T) {
	good := identity.Snapshot{Payment: "pay_1", Version: 1, Amount: 1, Currency: "EUR", Payee: "s", PayeeName: "S"}
	for name, edit := range map[string]func(*identity.Snapshot){
		"amount beyond doubles": func(s *identity.Snapshot) { s.Amount = 1 << 53 },
		"negative amount":       func(s *identity.Snapshot) { s.Amount = -1 },
		"negative version":      func(s *identity.Snapshot) { s.Version = -1 },
		"name not UTF-8":        func(s *identity.Snapshot) { s.PayeeName = "\xff" },
		"purpose not UTF-8":     func(s *identity.Snapshot) { s.Purpose = "a\xc0" },
	} {
		s := good
		edit(&s)
		if _, _, err := s.Canonical(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzSnapshot holds that two snapshots have one digest only if they are the same.
func FuzzSnapshot(f *testing.F) {
	f.Add("pay_1", int64(1), int64(12000), "EUR", "seller", "V. Seller", "Bike", "pay_1", int64(1), int64(12000), "EUR", "seller", "V. Seller", "bike")
	f.Add("a", int64(1), int64(1<<53-1), "", "", "\u2028", "é", "a", int64(1), int64(1<<53), "", "", "\u2028", "e\u0301")
	f.Fuzz(func(t *testing.T, p1 string, v1, a1 int64, c1, u1, n1, m1, p2 string, v2, a2 int64, c2, u2, n2, m2 string) {
		one := identity.Snapshot{Payment: wire.PaymentID(p1), Version: v1, Amount: a1, Currency: c1, Payee: wire.UserID(u1), PayeeName: n1, Purpose: m1}
		two := identity.Snapshot{Payment: wire.PaymentID(p2), Version: v2, Amount: a2, Currency: c2, Payee: wire.UserID(u2), PayeeName: n2, Purpose: m2}
		json1, d1, err1 := one.Canonical()
		_, d2, err2 := two.Canonical()
		if err1 != nil || err2 != nil {
			return
		}
		if (d1 == d2) != (one == two) {
			t.Errorf("%+v and %+v: digests %s and %s", one, two, d1, d2)
		}
		var back struct {
			Amount int64
			Name   string `json:"payee_name_shown"`
		}
		if err := json.Unmarshal(json1, &back); err != nil || back.Amount != a1 || back.Name != n1 {
			t.Errorf("%s reads back as %+v, %v", json1, back, err)
		}
	})
}
