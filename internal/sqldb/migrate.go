package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

func migrate(ctx context.Context, db *DB, owner string, files fs.FS) error {
	dialect, conn := goose.DialectSQLite3, db.readers
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	switch db.dialect {
	case Postgres:
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return fmt.Errorf("sqldb: migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	default:
		w := db.engine.(*sqliteWriter)
		conn = w.db
	}
	return migrateOn(ctx, conn, dialect, owner, files, options)
}

func migrateOn(ctx context.Context, conn *sql.DB, dialect goose.Dialect, owner string, files fs.FS, options []goose.ProviderOption) error {
	store, err := database.NewStore(dialect, "schema_"+owner)
	if err != nil {
		return fmt.Errorf("sqldb: migrate %s: %w", owner, err)
	}
	p, err := goose.NewProvider("", conn, files, append(options, goose.WithStore(store))...)
	if err != nil {
		return fmt.Errorf("sqldb: migrate %s: %w", owner, err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("sqldb: migrate %s: %w", owner, err)
	}
	return nil
}
