package api

import (
	"encoding/json"
	"reflect"

	"parley/wire"
)

// ReadBoth reads params of an operation in the short way and in the general one.
func (t *Table) ReadBoth(operation string, params json.RawMessage) (fits bool, short, general any, err error) {
	e := t.ops[operation]
	into := reflect.New(e.Input)
	fits = !e.Money && e.plain.read(params, into.Elem())
	whole := reflect.New(e.Input)
	checked, err := t.check(e, &wire.Caller{}, params)
	if err == nil {
		err = json.Unmarshal(checked, whole.Interface())
	}
	return fits, into.Interface(), whole.Interface(), err
}
