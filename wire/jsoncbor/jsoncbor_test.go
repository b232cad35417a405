package jsoncbor_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"parley/wire/jsoncbor"
)

// The values are those of RFC 8949, appendix A, as far as JSON has them.
func TestBothWays_ValuesOfTheRFC(t *testing.T) {
	for _, v := range []struct{ json, cbor string }{
		{`0`, "00"}, {`23`, "17"}, {`24`, "1818"}, {`1000`, "1903e8"}, {`1000000`, "1a000f4240"},
		{`1000000000000`, "1b000000e8d4a51000"}, {`18446744073709551615`, "1bffffffffffffffff"},
		{`9007199254740993`, "1b0020000000000001"}, {`9223372036854775807`, "1b7fffffffffffffff"},
		{`-1`, "20"}, {`-1000`, "3903e7"}, {`-9223372036854775808`, "3b7fffffffffffffff"},
		{`1.1`, "fb3ff199999999999a"}, {`1.5`, "f93e00"}, {`-4.1`, "fbc010666666666666"}, {`1e+300`, "fb7e37e43c8800759c"},
		{`5.960464477539063e-08`, "f90001"}, {`false`, "f4"}, {`true`, "f5"}, {`null`, "f6"},
		{`""`, "60"}, {`"IETF"`, "6449455446"}, {`"\"\\"`, "62225c"}, {`"ü水𐅑"`, "69c3bce6b0b4f0908591"}, {`"\u000a"`, "610a"},
		{`[]`, "80"}, {`[1,[2,3],[4,5]]`, "8301820203820405"}, {`{}`, "a0"}, {`{"a":1,"b":[2,3]}`, "a26161016162820203"},
	} {
		b, err := jsoncbor.FromJSON([]byte(v.json))
		if err != nil || hex.EncodeToString(b) != v.cbor {
			t.Errorf("%s is %x (%v), want %s", v.json, b, err, v.cbor)
		}
		raw, _ := hex.DecodeString(v.cbor)
		j, err := jsoncbor.ToJSON(raw, 1000)
		if err != nil || string(j) != v.json {
			t.Errorf("%s is %s (%v), want %s", v.cbor, j, err, v.json)
		}
	}
}

// Numbers that have several forms end in one; a float that holds an integer can be read as one.
func TestNumbers_HaveOneForm(t *testing.T) {
	for in, want := range map[string]string{
		"f93c00": "1", "fb4278bcfe568000 00": "1700000000000", "f98000": "0", "1800": "0", "fb4340000000000000": "9007199254740992",
	} {
		raw, err := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if j, err := jsoncbor.ToJSON(raw, 100); err != nil || string(j) != want {
			t.Errorf("%s is %s (%v), want %s", in, j, err, want)
		}
	}
	for in, want := range map[string]string{"1e2": "f95640", "-0": "00", "36893488147419103232": "fa60000000", "1e999": "fb7fefffffffffffff", "-1e999": "fbffefffffffffffff", "1e-999": "f90000"} {
		if b, err := jsoncbor.FromJSON([]byte(in)); err != nil || hex.EncodeToString(b) != want {
			t.Errorf("%s is %x (%v), want %s", in, b, err, want)
		}
	}
}

func TestFromJSON_OneValueHasOneEncoding(t *testing.T) {
	a, err := jsoncbor.FromJSON([]byte(`{"b":1,"aa":2,"a":3}`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := jsoncbor.FromJSON([]byte(` {"a" : 3, "aa":2,"b":1 }`))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("%x and %x (%v)", a, b, err)
	}
	if hex.EncodeToString(a) != "a36161036162016261"+"6102" {
		t.Errorf("keys are not in bytewise order: %x", a)
	}
}

func TestToJSON_RefusesWhatIsHostileOrNotJSON(t *testing.T) {
	for name, in := range map[string]string{
		"nothing": "", "two values": "0101", "cut short": "8201", "a length beyond the end": "9b7fffffffffffffff",
		"a map beyond the end": "bb7fffffffffffffff", "text beyond the end": "7b7fffffffffffffff61",
		"deep nesting": strings.Repeat("81", 33) + "00", "very deep nesting": strings.Repeat("81", 70_000) + "00",
		"indefinite array": "9f01ff", "indefinite map": "bf6161 01ff", "indefinite text": "7f6161ff",
		"duplicate key": "a2616101616102", "key that is no text": "a10102", "key of bytes": "a1416101",
		"a tag": "c074323031332d30332d32315432303a30343a30305a", "a bignum": "c249010000000000000000", "self-described": "d9d9f700",
		"bytes": "4401020304", "undefined": "f7", "simple value": "f0", "simple value of two bytes": "f8ff",
		"NaN": "f97e00", "infinity": "f97c00", "text that is not UTF-8": "61ff", "below -2^63": "3bffffffffffffffff",
		"reserved head": "1c", "break alone": "ff",
	} {
		raw, err := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if j, err := jsoncbor.ToJSON(raw, 1<<20); !errors.Is(err, jsoncbor.ErrValue) {
			t.Errorf("%s: %.40s, %v", name, j, err)
		}
	}
}

// Every JSON has a form, and what a node sends may be nested deeper than what it takes.
func TestServerToJSON_TakesWhateverFromJSONMakes(t *testing.T) {
	for _, in := range []string{strings.Repeat("[", 9000) + strings.Repeat("]", 9000), `"\ud800"`, "\"\xff\"", `{"a":1,"a":2}`} {
		b, err := jsoncbor.FromJSON([]byte(in))
		if err != nil {
			t.Fatalf("%.20s: %v", in, err)
		}
		if _, err := jsoncbor.ServerToJSON(b, 1<<20); err != nil {
			t.Errorf("%.20s: %v", in, err)
		}
	}
}

// What grows as JSON is held to the same bound as what came as JSON.
func TestToJSON_IsBounded(t *testing.T) {
	raw, err := jsoncbor.FromJSON([]byte(`"` + strings.Repeat(`\u0001`, 1000) + `"`))
	if err != nil || len(raw) > 1010 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	if _, err := jsoncbor.ToJSON(raw, 6001); !errors.Is(err, jsoncbor.ErrTooLarge) {
		t.Errorf("6002 bytes of JSON: %v", err)
	}
	if j, err := jsoncbor.ToJSON(raw, 6002); err != nil || len(j) != 6002 {
		t.Errorf("%d bytes, %v", len(j), err)
	}
	nulls := append(jsoncbor.AppendArrayHead(nil, 60_000), bytes.Repeat([]byte{0xf6}, 60_000)...)
	if _, err := jsoncbor.ToJSON(nulls, 80<<10); !errors.Is(err, jsoncbor.ErrTooLarge) {
		t.Errorf("60,000 nulls: %v", err)
	}
}

func TestArrayHead_FitsTheValuesBehindIt(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
		j, err := jsoncbor.ToJSON(append(jsoncbor.AppendArrayHead(nil, n), bytes.Repeat([]byte{0}, n)...), 1<<20)
		if err != nil || strings.Count(string(j), "0") != n {
			t.Errorf("%d values: %d bytes, %v", n, len(j), err)
		}
	}
}

// FuzzToJSON: whatever is taken is JSON within its bound, and goes back and
// forth without a change.
func FuzzToJSON(f *testing.F) {
	for _, in := range []string{"a26161016162820203", "fb3ff199999999999a", "1bffffffffffffffff", "9f01ff", "a2616101616102", "61ff", "f97e00", "8301820203820405", "9b7fffffffffffffff"} {
		raw, _ := hex.DecodeString(in)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 4096
		j, err := jsoncbor.ToJSON(data, most)
		if err != nil {
			return
		}
		if !json.Valid(j) || len(j) > most {
			t.Fatalf("%d bytes: %q", len(j), j)
		}
		b, err := jsoncbor.FromJSON(j)
		if err != nil {
			t.Fatalf("%s: %v", j, err)
		}
		again, err := jsoncbor.ToJSON(b, most)
		if err != nil || !bytes.Equal(again, j) {
			t.Fatalf("%s came back as %s (%v)", j, again, err)
		}
	})
}

var chatEvent = []byte(`{"jsonrpc":"2.0","method":"event","params":{"id":"evt_06awrxj2sv4rxn0e0000000000","type":"message.created","conversation":"conv_06awrxj2sv4rxn0e0000000000","seq":42,"time":"2026-01-02T03:04:05.678Z","author":"ann","data":{"id":"msg_06awrxj2sv4rxn0e0000000000","text":"The bike is still here. Come by at six?","client_id":"m-1"}}}`)

func BenchmarkFromJSON(b *testing.B) {
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		out, err := jsoncbor.FromJSON(chatEvent)
		if err != nil {
			b.Fatal(err)
		}
		n = len(out)
	}
	b.ReportMetric(float64(n), "bytes")
	b.ReportMetric(float64(len(chatEvent)), "json-bytes")
}

func BenchmarkToJSON(b *testing.B) {
	raw, err := jsoncbor.FromJSON([]byte(`{"jsonrpc":"2.0","id":17,"method":"messages.send","params":{"conversation":"conv_06awrxj2sv4rxn0e0000000000","client_id":"m-1","text":"The bike is still here. Come by at six?"}}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsoncbor.ToJSON(raw, 80<<10); err != nil {
			b.Fatal(err)
		}
	}
}
