package signaling

import (
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema returns the migrations of the tables of calls.
func Schema() fs.FS {
	sub, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// Parts of a person in a call, as the column part has them.
const (
	partNone    = 0
	partRings   = 1
	partWaits   = 2 // present while the call rings
	partTalks   = 3
	partPresent = partWaits // this or more
)

func partOf(c Call, p Participant) int {
	switch {
	case c.State == Ended:
		return partNone
	case p.Leg == LegRinging:
		return partRings
	case !p.Present():
		return partNone
	case c.State == Ringing:
		return partWaits
	}
	return partTalks
}

// load reads a call; ErrUnknown when there is none.
func load(tx *sqldb.Tx, id wire.CallID) (Call, error) {
	return scanCall(tx.QueryRow("SELECT body FROM calls WHERE id = ?", id))
}

// find reads the call that the condition names, if there is one.
func find(tx *sqldb.Tx, where string, args ...any) (Call, bool, error) {
	c, err := scanCall(tx.QueryRow("SELECT body FROM calls WHERE "+where, args...))
	if errors.Is(err, ErrUnknown) {
		return Call{}, false, nil
	}
	return c, err == nil, err
}

func scanCall(row *sql.Row) (Call, error) {
	var body string
	if err := row.Scan(&body); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return Call{}, ErrUnknown
		}
		return Call{}, fmt.Errorf("signaling: read call: %w", err)
	}
	return decodeCall(body)
}

func decodeCall(body string) (Call, error) {
	var c Call
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		return Call{}, fmt.Errorf("signaling: stored call: %w", err)
	}
	return c, nil
}

// insert writes a new call.
func insert(tx *sqldb.Tx, c Call) error {
	body, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("signaling: encode call: %w", err)
	}
	n, err := tx.Exec(`INSERT INTO calls (id, version, state, kind, conversation, payment, client_key, ring_key, deadline, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		c.ID, c.Version, c.State, c.Kind, c.Conversation, c.Payment, clientKey(c.From.User, c.ClientID), ringKey(c), millis(c.Deadline()), string(body))
	if err != nil {
		return fmt.Errorf("signaling: write call: %w", err)
	}
	if n == 0 {
		return errConflict
	}
	return saveMembers(tx, Call{}, c)
}

// update replaces prev by next if prev is still what is stored; else errConflict.
func update(tx *sqldb.Tx, prev, next Call, now time.Time) error {
	body, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("signaling: encode call: %w", err)
	}
	n, err := tx.Exec(`UPDATE calls SET version = ?, state = ?, kind = ?, payment = ?, ring_key = ?, deadline = ?, host = ?, body = ?
		WHERE id = ? AND version = ?`,
		next.Version, next.State, next.Kind, next.Payment, ringKey(next), millis(next.Deadline()), holder(next), string(body), next.ID, prev.Version)
	if err != nil {
		return fmt.Errorf("signaling: write call: %w", err)
	}
	if n == 0 {
		return errConflict
	}
	if err := saveMembers(tx, prev, next); err != nil {
		return err
	}
	return saveAlive(tx, prev, next, now)
}

// holder is the node that has a room to close or to move for c.
func holder(c Call) string {
	if c.State == Ended {
		return ""
	}
	return c.Host
}

// saveMembers writes the index rows of the parts that changed.
func saveMembers(tx *sqldb.Tx, prev, next Call) error {
	for _, p := range next.Participants {
		part := partOf(next, p)
		if old, ok := prev.Find(p.User); ok && partOf(prev, old) == part {
			continue
		}
		_, err := tx.Exec(`INSERT INTO call_members (call_id, user_id, part) VALUES (?, ?, ?)
			ON CONFLICT (call_id, user_id) DO UPDATE SET part = excluded.part`, next.ID, p.User, part)
		if err != nil {
			return fmt.Errorf("signaling: write participant: %w", err)
		}
	}
	return nil
}

// saveAlive keeps a row for each connected participant. In another room they
// all begin anew.
func saveAlive(tx *sqldb.Tx, prev, next Call, now time.Time) error {
	moved := prev.Host != "" && prev.Host != next.Host
	if next.State == Ended || moved {
		if prev.State == Ended {
			return nil
		}
		_, err := tx.Exec("DELETE FROM call_alive WHERE call_id = ?", next.ID)
		return err
	}
	for _, p := range next.Participants {
		old, _ := prev.Find(p.User)
		var err error
		switch {
		case p.Leg == LegConnected && (old.Leg != LegConnected || !old.Until.IsZero() && p.Until.IsZero()):
			err = watch(tx, next.ID, p, now)
		case old.Leg == LegConnected && p.Leg != LegConnected:
			_, err = tx.Exec("DELETE FROM call_alive WHERE call_id = ? AND user_id = ?", next.ID, p.User)
		}
		if err != nil {
			return fmt.Errorf("signaling: write liveness: %w", err)
		}
	}
	return nil
}

// watch begins to expect reports of p, or goes on by another path.
func watch(tx *sqldb.Tx, call wire.CallID, p Participant, now time.Time) error {
	media := P2P
	if p.Route == RouteSFU {
		media = SFU
	}
	_, err := tx.Exec(`INSERT INTO call_alive (call_id, user_id, device, media, due_at, alive_at) VALUES (?, ?, ?, ?, ?, 0)
		ON CONFLICT (call_id, user_id) DO UPDATE SET device = excluded.device, media = excluded.media, due_at = excluded.due_at, alive_at = 0`,
		call, p.User, p.Device, media, millis(now.Add(LostAfter)))
	return err
}

// presentElsewhere reports whether user waits or talks in a call other than except.
func presentElsewhere(tx *sqldb.Tx, user wire.UserID, except wire.CallID) (wire.CallID, bool, error) {
	var id wire.CallID
	err := tx.QueryRow("SELECT call_id FROM call_members WHERE user_id = ? AND part >= 2 AND call_id <> ?", user, except).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return id, err == nil, err
}

// talks reports whether user is in an answered call.
func talks(tx *sqldb.Tx, user wire.UserID) (bool, error) {
	var n int
	err := tx.QueryRow("SELECT count(*) FROM call_members WHERE user_id = ? AND part = 3", user).Scan(&n)
	return n > 0, err
}

func clientKey(user wire.UserID, id string) string { return string(user) + "|" + id }

// ringKey names the pair of a direct call that rings, whoever of them called.
func ringKey(c Call) string {
	if c.Kind != Direct || c.State != Ringing {
		return ""
	}
	return pairKey(c.Participants[0].User, c.Participants[1].User)
}

func pairKey(a, b wire.UserID) string {
	if b < a {
		a, b = b, a
	}
	return string(a) + "|" + string(b)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
