// Package chat owns conversations: who is in them, the numbered log of what
// happened in each, how far every member has received and read it, and when
// people were last seen.
//
// A log's entries are numbered 1, 2, 3 … without gaps, in the transaction that
// writes them; other features put theirs in with Append. What is announced has
// been committed. The package knows neither sockets nor payments nor calls.
package chat

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// Limits of a conversation.
const (
	TextMax     = 4000 // runes of a message, at least 1
	TitleMax    = 80   // runes of a title
	MembersMax  = 256  // members of a conversation, at least 1
	ClientIDMax = 64   // bytes of a client id
	PageMax     = 500  // entries or conversations in one answer
	PageDefault = 50
	// UnreadWindow is how many entries back unread messages are counted.
	UnreadWindow = 1000
	// DataMax bounds the JSON of one entry, in bytes.
	DataMax = 64 << 10
)

//go:embed schema/*.sql
var schema embed.FS

// Schema returns the migrations of the package's tables.
func Schema() fs.FS {
	sub, err := fs.Sub(schema, "schema")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}

// Names tells the names people are shown by. Users it does not know may be left out.
type Names interface {
	Names(ctx context.Context, users []wire.UserID) (map[wire.UserID]string, error)
}

// Config of a Service. The zero value works.
type Config struct {
	// Rosters bounds the member lists kept in memory, one per conversation. 0 means 16,384.
	Rosters int
}

// Deps are what a Service needs. DB, Clock and Publisher must be given.
type Deps struct {
	DB        *sqldb.DB
	Clock     clock.Clock
	Publisher wire.Publisher
	Names     Names  // nil: nobody has a name
	Blocks    Blocks // nil: nobody is blocked
	// Journal, if given, takes part in the transaction of every new entry.
	Journal func(tx *sqldb.Tx, ev wire.Event) error
	// Journals tells which types of entries Journal does something with. nil: all
	// of them, if there is a Journal.
	Journals func(kind string) bool
	Log      *slog.Logger          // nil discards
	Metrics  prometheus.Registerer // nil: not registered
}

// Service is the conversations of one database. Its methods are safe for concurrent use.
type Service struct {
	db      *sqldb.DB
	clock   clock.Clock
	out     wire.Publisher
	names   Names
	blocks  Blocks
	journal func(tx *sqldb.Tx, ev wire.Event) error
	log     *slog.Logger
	rosters *rosterCache
	metrics *metrics

	journals func(kind string) bool
	together together
}

// New makes a Service; it starts nothing.
func New(cfg Config, d Deps) *Service {
	if cfg.Rosters == 0 {
		cfg.Rosters = 16384
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Journals == nil {
		all := d.Journal != nil
		d.Journals = func(string) bool { return all }
	}
	if d.Journal == nil {
		d.Journal = func(*sqldb.Tx, wire.Event) error { return nil }
	}
	return &Service{
		db: d.DB, clock: d.Clock, out: d.Publisher, names: d.Names, blocks: d.Blocks, journal: d.Journal, log: d.Log,
		rosters: newRosterCache(cfg.Rosters), metrics: newMetrics(d.Metrics), journals: d.Journals,
	}
}

// now is the time as the database keeps it: whole milliseconds, UTC.
func (s *Service) now() time.Time { return s.clock.Now().UTC().Truncate(time.Millisecond) }

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// known reports whether id may be a conversation's; what cannot be one is
// never looked up. (PostgreSQL refuses some strings that SQLite takes.)
func known(id wire.ConversationID) bool {
	if u, ok := strings.CutPrefix(string(id), "self_"); ok {
		return wire.CheckUser(u) == nil
	}
	return wire.CheckID(wire.PrefixConversation, string(id)) == nil
}

// checkClientID reports whether id, if there is one, is short and printable.
func checkClientID(id string) error {
	if len(id) > ClientIDMax || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return fmt.Errorf("%w: a client_id has at most %d printable bytes", ErrInput, ClientIDMax)
	}
	return nil
}
