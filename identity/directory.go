package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// User is a person as others see them.
type User struct {
	ID wire.UserID `json:"id"`
	// Name is what the person's token says.
	Name string `json:"name" doc:"as the app calls the person; not checked"`
	// VerifiedName is set by the app's server only.
	VerifiedName string    `json:"verified_name" doc:"checked by the app, for example from an identity document; empty when not checked"`
	Country      string    `json:"country,omitempty" doc:"ISO 3166-1 alpha-2"`
	CreatedAt    time.Time `json:"created_at" doc:"when Parley first saw the person"`
	Restricted   bool      `json:"restricted" doc:"the app has restricted the account"`

	handle string
}

// ShownName is the name that payments and calls show: the verified one when
// there is one, else the one from the token, else the id.
func (u User) ShownName() string {
	switch {
	case u.VerifiedName != "":
		return u.VerifiedName
	case u.Name != "":
		return u.Name
	}
	return string(u.ID)
}

// AccountAge is how long the directory has known the person.
func (u User) AccountAge(now time.Time) time.Duration { return max(0, now.Sub(u.CreatedAt)) }

// Relations tells who may look whom up.
type Relations interface {
	// Related reports whether a and b share a conversation or a payment.
	Related(ctx context.Context, a, b wire.UserID) (bool, error)
}

// DirectoryConfig of a Directory; its zero value works.
type DirectoryConfig struct {
	// NamesFor is how long a name is kept in memory: another node's change is
	// seen that much later. 0 means 30 s.
	NamesFor time.Duration
	// NamesMax bounds the names in memory; at the bound all are forgotten. 0 means 50,000.
	NamesMax int
	// Relations limits users.get to related people. nil means that everyone
	// with a token may look anyone up.
	Relations Relations
}

// Directory knows the users. Its methods are safe for concurrent use.
type Directory struct {
	db    *sqldb.DB
	clock clock.Clock
	cfg   DirectoryConfig

	mu    sync.Mutex
	cache map[wire.UserID]cachedUser
}

type cachedUser struct {
	user  User
	until time.Time
}

// NewDirectory returns a Directory on db.
func NewDirectory(db *sqldb.DB, clk clock.Clock, cfg DirectoryConfig) *Directory {
	if cfg.NamesFor == 0 {
		cfg.NamesFor = 30 * time.Second
	}
	if cfg.NamesMax == 0 {
		cfg.NamesMax = 50_000
	}
	return &Directory{db: db, clock: clk, cfg: cfg, cache: map[wire.UserID]cachedUser{}}
}

// seenFor is how long a row that was there is taken to be there still when a
// token is shown again, so that everybody's return at once asks no database.
const seenFor = 10 * time.Minute

// Seen makes sure that there is a row for a user who has just shown a token,
// and takes over the name that the token claims, if any. It is cheap for users
// seen lately: call it on every request.
func (d *Directory) Seen(ctx context.Context, id wire.UserID, name string) error {
	name = cleanName(name)
	known, err := d.lately(ctx, id)
	if err == nil && (name == "" || name == known.Name) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrUserUnknown) {
		return err
	}
	err = d.db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := d.upsert(tx, id, name); err != nil {
			return err
		}
		known, err = d.GetTx(tx, id)
		return err
	})
	if err != nil {
		d.forget(id)
		return err
	}
	d.remember(known)
	return nil
}

// lately is Get, content with what was true a while ago.
func (d *Directory) lately(ctx context.Context, id wire.UserID) (User, error) {
	now := d.clock.Now()
	d.mu.Lock()
	c, ok := d.cache[id]
	d.mu.Unlock()
	if ok && now.Before(c.until.Add(seenFor-d.cfg.NamesFor)) {
		return c.user, nil
	}
	return d.Get(ctx, id)
}

func (d *Directory) upsert(tx *sqldb.Tx, id wire.UserID, name string) error {
	if err := wire.CheckUser(string(id)); err != nil {
		return err
	}
	handle := make([]byte, 32)
	_, _ = rand.Read(handle) // never fails since Go 1.24
	_, err := tx.Exec(`INSERT INTO identity_users (id, name, verified_name, country, restricted, handle, created_ms)
		VALUES (?, ?, '', '', 0, ?, ?) ON CONFLICT (id) DO NOTHING`,
		string(id), name, base64.RawURLEncoding.EncodeToString(handle), d.clock.Now().UnixMilli())
	if err != nil || name == "" {
		return err
	}
	_, err = tx.Exec("UPDATE identity_users SET name = ? WHERE id = ? AND name <> ?", name, string(id), name)
	return err
}

// Get returns a user, or ErrUserUnknown.
func (d *Directory) Get(ctx context.Context, id wire.UserID) (User, error) {
	if u, ok := d.cached(id); ok {
		return u, nil
	}
	var u User
	err := d.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		u, err = d.GetTx(tx, id)
		return err
	})
	if err != nil {
		return User{}, err
	}
	d.remember(u)
	return u, nil
}

// GetTx is Get inside a transaction, past the memory.
func (d *Directory) GetTx(tx *sqldb.Tx, id wire.UserID) (User, error) {
	u := User{ID: id}
	var created, restricted int64
	err := tx.QueryRow("SELECT name, verified_name, country, restricted, handle, created_ms FROM identity_users WHERE id = ?", string(id)).
		Scan(&u.Name, &u.VerifiedName, &u.Country, &restricted, &u.handle, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, ErrUserUnknown
	}
	u.CreatedAt, u.Restricted = time.UnixMilli(created).UTC(), restricted != 0
	return u, err
}

// ShownName returns the name to show for id; the id itself for someone never seen.
func (d *Directory) ShownName(ctx context.Context, id wire.UserID) (string, error) {
	u, err := d.Get(ctx, id)
	if errors.Is(err, ErrUserUnknown) {
		return string(id), nil
	}
	return u.ShownName(), err
}

// ShownNameTx is ShownName inside a transaction, past the memory: what a
// payment's digest is made of must not be stale.
func (d *Directory) ShownNameTx(tx *sqldb.Tx, id wire.UserID) (string, error) {
	u, err := d.GetTx(tx, id)
	if errors.Is(err, ErrUserUnknown) {
		return string(id), nil
	}
	return u.ShownName(), err
}

// Names returns the names to show for ids.
func (d *Directory) Names(ctx context.Context, ids []wire.UserID) (map[wire.UserID]string, error) {
	names := make(map[wire.UserID]string, len(ids))
	var missing []wire.UserID
	for _, id := range ids {
		if u, ok := d.cached(id); ok {
			names[id] = u.ShownName()
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return names, nil
	}
	err := d.db.View(ctx, func(tx *sqldb.Tx) error {
		for _, id := range missing {
			u, err := d.GetTx(tx, id)
			if errors.Is(err, ErrUserUnknown) {
				names[id] = string(id)
				continue
			}
			if err != nil {
				return err
			}
			names[id] = u.ShownName()
			d.remember(u)
		}
		return nil
	})
	return names, err
}

// Me returns the caller's own row.
func (d *Directory) Me(ctx context.Context, c wire.Caller) (User, error) {
	if c.User == "" {
		return User{}, fmt.Errorf("%w: the server key acts for nobody", ErrUserUnknown)
	}
	return d.Get(ctx, c.User)
}

// Find returns another user to a caller who may look them up; a user who is
// not related to the caller looks like one who does not exist.
func (d *Directory) Find(ctx context.Context, c wire.Caller, id wire.UserID) (User, error) {
	u, err := d.Get(ctx, id)
	if err != nil || c.Role != wire.RoleUser || c.User == id || d.cfg.Relations == nil {
		return u, err
	}
	related, err := d.cfg.Relations.Related(ctx, c.User, id)
	if err != nil {
		return User{}, err
	}
	if !related {
		return User{}, ErrUserUnknown
	}
	return u, nil
}

// UserChange is what a server key may set.
type UserChange struct {
	Name         string
	VerifiedName *string // nil leaves it
	Country      *string
	Restricted   *bool
}

// Put makes or changes a user; for server keys only.
func (d *Directory) Put(ctx context.Context, c wire.Caller, id wire.UserID, ch UserChange) (u User, err error) {
	if !c.IsServer() {
		return User{}, ErrServersOnly
	}
	name := cleanName(ch.Name)
	if name == "" || (ch.VerifiedName != nil && cleanName(*ch.VerifiedName) != *ch.VerifiedName) {
		return User{}, ErrNameInvalid
	}
	err = d.db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := d.upsert(tx, id, name); err != nil {
			return err
		}
		if u, err = d.GetTx(tx, id); err != nil {
			return err
		}
		return d.change(tx, &u, ch)
	})
	d.forget(id)
	return u, err
}

func (d *Directory) change(tx *sqldb.Tx, u *User, ch UserChange) error {
	if ch.VerifiedName != nil {
		u.VerifiedName = *ch.VerifiedName
	}
	if ch.Country != nil {
		u.Country = *ch.Country
	}
	if ch.Restricted != nil {
		u.Restricted = *ch.Restricted
	}
	restricted := 0
	if u.Restricted {
		restricted = 1
	}
	_, err := tx.Exec("UPDATE identity_users SET verified_name = ?, country = ?, restricted = ? WHERE id = ?",
		u.VerifiedName, u.Country, restricted, string(u.ID))
	return err
}

func (d *Directory) cached(id wire.UserID) (User, bool) {
	now := d.clock.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.cache[id]
	return c.user, ok && now.Before(c.until)
}

func (d *Directory) remember(u User) {
	until := d.clock.Now().Add(d.cfg.NamesFor)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.cache) >= d.cfg.NamesMax {
		clear(d.cache)
	}
	d.cache[u.ID] = cachedUser{user: u, until: until}
}

func (d *Directory) forget(id wire.UserID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.cache, id)
}

// nameMax is the most characters of a name.
const nameMax = 100

// cleanName removes what could make a name look like something else: control
// characters and marks that turn the direction of text, and space around it.
func cleanName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u200e', r == '\u200f', r == '\u061c',
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	name = strings.TrimSpace(name)
	if r := []rune(name); len(r) > nameMax {
		name = strings.TrimSpace(string(r[:nameMax]))
	}
	return name
}
