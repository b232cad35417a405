//go:build nextschema

package app

import (
	"io/fs"
	"testing/fstest"
)

// A binary built with the tag nextschema stands for the version after this one:
// its schema is one migration ahead, of the kinds that an upgrade may bring. The
// tests run it beside this one.

// nextMigration adds to a table that every node writes to all the time.
const nextMigration = `-- +goose Up
ALTER TABLE entries ADD COLUMN next_note TEXT NOT NULL DEFAULT 'none';
CREATE INDEX entries_next ON entries (conversation, next_note);
CREATE TABLE next_things (id TEXT NOT NULL PRIMARY KEY);
`

// schemaOf is the schema that this version brings an owner's tables to.
func schemaOf(owner string, files fs.FS) fs.FS {
	if owner != "chat" {
		return files
	}
	next := fstest.MapFS{"09999_next.sql": {Data: []byte(nextMigration)}}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		panic(err) // the pattern is right
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err) // the files are embedded
		}
		next[name] = &fstest.MapFile{Data: text}
	}
	return next
}
