// Package configs holds the default files that the binary carries.
package configs

import _ "embed" // for the files below

// Safety is the default safety.yaml.
//
//go:embed safety.yaml
var Safety []byte
