package api

import (
	"encoding/json"

	"parley/wire"
)

// CheckBoth checks params of an operation in the short way and in the general one.
func (t *Table) CheckBoth(operation string, params json.RawMessage) (fits bool, err error) {
	e := t.ops[operation]
	fits = !e.Money && e.plain.fits(params)
	_, err = t.checkAll(e, &wire.Caller{}, params)
	return fits, err
}
