package jsoncbor

import (
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// mapType makes maps have text keys only.
var mapType = reflect.TypeFor[map[string]any]()

// simpleValues takes false, true and null, and refuses all others.
func simpleValues() *cbor.SimpleValueRegistry {
	var refused []func(*cbor.SimpleValueRegistry) error
	for v := range 256 {
		if v >= 20 && v <= 22 || v >= 24 && v <= 31 { // 24 to 31 are reserved and never well-formed
			continue
		}
		refused = append(refused, cbor.WithRejectedSimpleValue(cbor.SimpleValue(v)))
	}
	return must(cbor.NewSimpleValueRegistryFromDefaults(refused...))
}

// must returns what cannot fail, because its input is in the source.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("jsoncbor: %v", err))
	}
	return v
}
