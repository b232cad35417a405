package api_test

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestPlain_FitsWhatIsPlainAndRight(t *testing.T) {
	tb := table(t)
	for params, want := range map[string]bool{
		`{"name":"ann"}`: true,
		` { "name" : "ann" , "times" : 3 , "loud" : true } `: true,
		`{"name":"ann","times":0}`:                           false,
		`{"name":"ann","times":4}`:                           false,
		`{"name":"ann","times":1.0}`:                         false,
		`{"name":"ann","times":01}`:                          false,
		`{"name":"ann","times":null}`:                        false,
		`{"name":"ann","name":"bob"}`:                        false,
		`{"name":"ann","other":1}`:                           false,
		`{"Name":"ann"}`:                                     false,
		`{"name":"hannibal the great"}`:                      false,
		`{"name":"\u0061nn"}`:                                false,
		`{"name":"ànn"}`:                                     false,
		`{"name":"ann","loud":truee}`:                        false,
		`{"name":"ann",}`:                                    false,
		`{,"name":"ann"}`:                                    false,
		`{"name":"ann"}}`:                                    false,
		`{"loud":true}`:                                      false,
		`{"name":"ann","idempotency_key":"k"}`:               false,
		`{}`:                                                 false, `[]`: false, ``: false, `{"name":"ann"`: false,
	} {
		got, short, general, err := tb.ReadBoth("greetings.send", json.RawMessage(params))
		if got != want {
			t.Errorf("%s: %v", params, got)
		}
		if got && (err != nil || !reflect.DeepEqual(short, general)) {
			t.Errorf("%s: read as %+v, otherwise as %+v, %v", params, short, general, err)
		}
	}
	if got, _, _, _ := tb.ReadBoth("greetings.pay", json.RawMessage(`{"name":"ann"}`)); got {
		t.Error("a request that needs an idempotency key passed without")
	}
}

// What the short way takes, the general one does, too, and reads the same.
func FuzzPlain(f *testing.F) {
	for _, params := range []string{`{"name":"ann"}`, ` { "name" : "ann" , "times" : 3 , "loud" : false } `, `{"name":"ann","times":12e1}`, `{"name":"ann","loud":tru`, `{"name":"a","times":-1}`} {
		f.Add([]byte(params))
	}
	tb := table(f)
	f.Fuzz(func(t *testing.T, params []byte) {
		fits, short, general, err := tb.ReadBoth("greetings.send", params)
		if fits && (err != nil || !reflect.DeepEqual(short, general)) {
			t.Errorf("%q: read as %+v, otherwise as %+v, %v", params, short, general, err)
		}
	})
}
