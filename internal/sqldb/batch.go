package sqldb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrRows says that a statement of a Batch changed another number of rows than it was given.
var ErrRows = errors.New("sqldb: other rows changed than given")

// ColumnType is the type of a column of the set that a SetQuery is given.
type ColumnType string

// The column types; their Go values are []string and []int64.
const (
	Text   ColumnType = "text"
	BigInt ColumnType = "bigint"
)

// SetQuery is a statement over a set of rows that is given to it as columns.
// Its text names the set as {set} where a SELECT may stand, as in
// "INSERT INTO t (a, b) {set}" or "WITH k(a) AS ({set}) SELECT … FROM k JOIN …".
// PostgreSQL takes the set as arrays in one statement; SQLite takes it as VALUES, in chunks.
type SetQuery struct {
	width    int
	postgres string
	sqlite   [len(setChunks)]string
}

// setChunks are the numbers of rows that SQLite takes in one statement. Few
// sizes keep the statements prepared; longer lists are slower to bind.
var setChunks = [...]int{16, 8, 4, 2, 1}

// Over makes a SetQuery for a set with columns of the given types.
func Over(query string, columns ...ColumnType) *SetQuery {
	arrays := make([]string, len(columns))
	for i, c := range columns {
		arrays[i] = "$" + strconv.Itoa(i+1) + "::" + string(c) + "[]"
	}
	q := &SetQuery{width: len(columns)}
	q.postgres = strings.ReplaceAll(query, "{set}", "SELECT * FROM unnest("+strings.Join(arrays, ", ")+")")
	row := "(" + strings.Repeat("?, ", len(columns)-1) + "?)"
	for i, n := range setChunks {
		q.sqlite[i] = strings.ReplaceAll(query, "{set}", "VALUES "+strings.Repeat(row+", ", n-1)+row)
	}
	return q
}

// Row is one row of a result.
type Row interface {
	Scan(dest ...any) error
}

// Batch is a sequence of statements that are sent together: one round trip on
// PostgreSQL, where they are also planned once and by index, so that their
// plans depend neither on the size of a set nor on how fresh statistics are.
type Batch struct {
	tx    *Tx
	items []batchItem
}

type batchItem struct {
	set   *SetQuery
	query string // when set is nil
	args  []any  // the set's columns, or the query's parameters
	rows  int    // of the set, or that the statement must change
	each  func(Row) error
}

// Batch returns an empty batch of the transaction.
func (tx *Tx) Batch() *Batch { return &Batch{tx: tx} }

// Lock does what Tx.Lock does, before the statements behind it.
func (b *Batch) Lock(keys ...string) {
	if ids := b.tx.newLocks(keys); len(ids) > 0 {
		b.Query(takeLocks, func(Row) error { return nil }, ids)
	}
}

// Exec adds a statement that must change as many rows as said, else Send returns ErrRows.
func (b *Batch) Exec(query string, rows int, args ...any) {
	b.items = append(b.items, batchItem{query: query, args: args, rows: rows})
}

// Query adds a query; each hears of every row of its result.
func (b *Batch) Query(query string, each func(Row) error, args ...any) {
	b.items = append(b.items, batchItem{query: query, args: args, each: each})
}

// QuerySet adds a query over a set, given as one []string or []int64 for each
// column; an empty set adds nothing. The order of the rows is not defined.
func (b *Batch) QuerySet(q *SetQuery, each func(Row) error, columns ...any) {
	b.add(batchItem{set: q, args: columns, each: each})
}

// ExecSet adds a statement that must change as many rows as the set has, else
// Send returns ErrRows; an empty set adds nothing.
func (b *Batch) ExecSet(q *SetQuery, columns ...any) {
	b.add(batchItem{set: q, args: columns})
}

// DoSet adds a statement over a set that may change fewer rows than the set has;
// an empty set adds nothing.
func (b *Batch) DoSet(q *SetQuery, columns ...any) {
	b.QuerySet(q, func(Row) error { return nil }, columns...)
}

func (b *Batch) add(it batchItem) {
	if len(it.args) != it.set.width {
		panic(fmt.Sprintf("sqldb: %d columns given of %d", len(it.args), it.set.width))
	}
	if it.rows = columnLen(it.args[0]); it.rows > 0 {
		b.items = append(b.items, it)
	}
}

// Send runs the statements in order and ends at the first error.
func (b *Batch) Send() error {
	if len(b.items) == 0 {
		return nil
	}
	if b.tx.pipeline != nil {
		return b.tx.pipeline(b.pipelined)
	}
	for i := range b.items {
		if err := b.tx.one(&b.items[i]); err != nil {
			return err
		}
	}
	return nil
}

// planByIndex makes what follows in the transaction independent of statistics:
// a table that has just grown has none, and a plan made while it was empty
// would read all of it.
const planByIndex = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true)," +
	" set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"

// pipelined sends everything before it reads the first answer.
func (b *Batch) pipelined(conn *pgx.Conn) error {
	var out pgx.Batch
	if !b.tx.planned {
		out.Queue(planByIndex)
	}
	b.queue(&out)
	results := conn.SendBatch(b.tx.ctx, &out)
	err := b.answers(results)
	return errors.Join(err, closing(results, err))
}

// queue adds the statements to what goes to PostgreSQL.
func (b *Batch) queue(out *pgx.Batch) {
	for _, it := range b.items {
		if it.set != nil {
			out.Queue(it.set.postgres, it.args...)
		} else {
			out.Queue(b.tx.rebind(it.query), it.args...)
		}
	}
}

// closing closes the results; after an error it would say the same again.
func closing(results pgx.BatchResults, err error) error {
	if cerr := results.Close(); err == nil {
		return cerr
	}
	return nil
}

func (b *Batch) answers(results pgx.BatchResults) error {
	if !b.tx.planned {
		if _, err := results.Exec(); err != nil {
			return err
		}
		b.tx.planned = true
	}
	for _, it := range b.items {
		if it.each == nil {
			tag, err := results.Exec()
			if err != nil {
				return err
			}
			if tag.RowsAffected() != int64(it.rows) {
				return fmt.Errorf("%w: %d of %d", ErrRows, tag.RowsAffected(), it.rows)
			}
			continue
		}
		rows, err := results.Query()
		if err != nil {
			return err
		}
		if err := everyRow(rows, it.each); err != nil {
			return err
		}
	}
	return nil
}

func everyRow(rows pgx.Rows, each func(Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one runs a statement by itself, a set in chunks.
func (tx *Tx) one(it *batchItem) error {
	switch {
	case it.set == nil:
		return tx.chunk(it, it.query, it.args, it.rows)
	case tx.dialect == Postgres:
		return tx.chunk(it, it.set.postgres, it.args, it.rows)
	}
	args := make([]any, 0, min(it.rows, setChunks[0])*it.set.width)
	for from, size := 0, 0; from < it.rows; from += setChunks[size] {
		for it.rows-from < setChunks[size] {
			size++
		}
		args = args[:0]
		for i := from; i < from+setChunks[size]; i++ {
			for _, c := range it.args {
				args = append(args, cell(c, i))
			}
		}
		if err := tx.chunk(it, it.set.sqlite[size], args, setChunks[size]); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) chunk(it *batchItem, query string, args []any, rows int) error {
	if it.each == nil {
		n, err := tx.Exec(query, args...)
		if err == nil && n != int64(rows) {
			err = fmt.Errorf("%w: %d of %d", ErrRows, n, rows)
		}
		return err
	}
	result, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = result.Close() }() // its error is in result.Err
	for result.Next() {
		if err := it.each(result); err != nil {
			return err
		}
	}
	return result.Err()
}

func columnLen(column any) int {
	switch c := column.(type) {
	case []string:
		return len(c)
	case []int64:
		return len(c)
	}
	panic(fmt.Sprintf("sqldb: a column of %T", column))
}

func cell(column any, i int) any {
	if c, ok := column.([]string); ok {
		return c[i]
	}
	return column.([]int64)[i]
}
