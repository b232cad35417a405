// Package cluster holds the tests of several nodes as real processes: nodes are
// killed, frozen and cut off, Redis and PostgreSQL restarted, while people chat
// over them; then every person's log is compared with the database. CLUSTER_BIN
// names the binary to test, CLUSTER_OLD one of the version before that is
// upgraded to it, and CLUSTER_LONG=1 makes faults last as long as in the field.
// It has no code of its own.
package cluster
