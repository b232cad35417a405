package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// unavailable marks with ErrUnavailable an error that comes from the database's
// own trouble, not from what it was asked: a lost connection, a server that
// goes away, a disk that is full or fails.
func unavailable(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || !disconnected(err) && !diskFailed(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// disconnected reports that the connection was lost, or that the server is going
// away or has no room (disk, memory, connections): nothing was committed.
func disconnected(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P")
	}
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.ErrUnexpectedEOF)
}

// diskFailed reports that SQLite could not read or write its files, or waited
// in vain for somebody else who has them.
func diskFailed(err error) bool {
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return false
	}
	switch lite.Code() & 0xff { // the rest says which file and how
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}
