package client_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"go.uber.org/goleak"

	"parley/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProof_FitsTheSharedVectors(t *testing.T) {
	text, err := os.ReadFile("../identity/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Transcripts []struct {
			Call, Caller, Callee string
			CallerFP             string `json:"caller_fingerprint"`
			CalleeFP             string `json:"callee_fingerprint"`
			CallerNonce          string `json:"caller_nonce"`
			CalleeNonce          string `json:"callee_nonce"`
			Commit, Transcript   string
		}
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Transcripts) == 0 {
		t.Fatal("no vectors")
	}
	bytes := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, v := range vectors.Transcripts {
		p := client.Proof{Call: v.Call, UserA: v.Caller, UserB: v.Callee,
			FpA: bytes(v.CallerFP), FpB: bytes(v.CalleeFP), NonceA: bytes(v.CallerNonce), NonceB: bytes(v.CalleeNonce)}
		if got := p.Transcript(); got != v.Transcript {
			t.Errorf("%s: transcript %s, want %s", v.Call, got, v.Transcript)
		}
		if got := client.Commitment(p.NonceA, p.FpA); got != v.Commit {
			t.Errorf("%s: commitment %s, want %s", v.Call, got, v.Commit)
		}
	}
}

func TestFingerprint_RefusesWhatIsNone(t *testing.T) {
	for _, sdp := range []string{"", "v=0\r\n", "a=fingerprint:sha-1 AA:BB\r\n", "a=fingerprint:sha-256 AA:BB\r\n", "a=fingerprint:sha-256 zz\r\n"} {
		if fp, err := client.Fingerprint(sdp); err == nil {
			t.Errorf("%q gives %x", sdp, fp)
		}
	}
}
