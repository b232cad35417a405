//go:build !nextschema

package app

import "io/fs"

// schemaOf is the schema that this version brings an owner's tables to.
func schemaOf(_ string, files fs.FS) fs.FS { return files }
