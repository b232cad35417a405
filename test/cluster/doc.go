// Package cluster holds the tests of several nodes as real processes: nodes are
// killed, frozen and cut off, Redis and PostgreSQL restarted, while people chat
// over them; then every person's log is compared with the database. It has no
// code of its own.
package cluster
