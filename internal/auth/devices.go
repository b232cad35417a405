package auth

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// A Device is where somebody is signed in.
type Device struct {
	ID    wire.DeviceID
	First time.Time // first session
	Last  time.Time // newest session, to within ten minutes
}

// Bounds of noting devices down.
const (
	deviceEvery  = 10 * time.Minute // a device that reconnects more often is written once
	devicesMax   = 1 << 16          // devices that wait to be written
	devicesAtAll = 1 << 18          // devices remembered as written
	devicesFlush = time.Second
)

// Devices is the list of devices per person. Sessions are noted without
// waiting and written in groups, so that a reconnect storm costs little.
type Devices struct {
	verifier *Verifier
	db       *sqldb.DB
	clock    clock.Clock
	dropped  prometheus.Counter

	mu      sync.Mutex
	waiting map[deviceKey]time.Time
	written map[deviceKey]time.Time
}

type deviceKey struct {
	user   wire.UserID
	device wire.DeviceID
}

func (k deviceKey) compare(other deviceKey) int {
	return cmp.Or(strings.Compare(string(k.user), string(other.user)), strings.Compare(string(k.device), string(other.device)))
}

// noteDevices keeps the newest time. (Without WHERE, SQLite takes ON for a join.)
var noteDevices = sqldb.Over(`INSERT INTO auth_devices (user_id, device, first_ms, last_ms) SELECT * FROM ({set}) AS noted WHERE true
	ON CONFLICT (user_id, device) DO UPDATE SET last_ms = excluded.last_ms WHERE auth_devices.last_ms < excluded.last_ms`,
	sqldb.Text, sqldb.Text, sqldb.BigInt, sqldb.BigInt)

// NewDevices makes the list; v does the signing out. Call Run to keep it.
func NewDevices(v *Verifier) *Devices {
	d := &Devices{
		verifier: v, db: v.db, clock: v.clock,
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_auth_devices_dropped_total",
			Help: "Sessions whose device was not noted, because too many waited to be written."}),
		waiting: map[deviceKey]time.Time{}, written: map[deviceKey]time.Time{},
	}
	if v.cfg.Metrics != nil {
		v.cfg.Metrics.MustRegister(d.dropped)
	}
	return d
}

// Note remembers that a device opened a session. It does not wait.
func (d *Devices) Note(user wire.UserID, device wire.DeviceID) {
	if user == "" || device == "" {
		return
	}
	key, now := deviceKey{user, device}, d.clock.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, ok := d.written[key]; ok && now.Sub(last) < deviceEvery {
		return
	}
	if len(d.waiting) >= devicesMax {
		d.dropped.Inc()
		return
	}
	d.waiting[key] = now
}

// Run writes what was noted until ctx ends, and then the rest.
func (d *Devices) Run(ctx context.Context) error {
	for {
		err := d.clock.Wait(ctx, d.clock.Now().Add(devicesFlush))
		if err != nil {
			rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			d.flushLogged(rest)
			return nil
		}
		d.flushLogged(ctx)
	}
}

func (d *Devices) flushLogged(ctx context.Context) {
	if err := d.flush(ctx); err != nil && ctx.Err() == nil {
		d.verifier.log.Warn("devices not written", "error", err)
	}
}

// flush writes what waits; what fails waits on.
func (d *Devices) flush(ctx context.Context) error {
	d.mu.Lock()
	batch := d.waiting
	d.waiting = map[deviceKey]time.Time{}
	d.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	var users, names []string
	var at []int64
	for _, key := range slices.SortedFunc(maps.Keys(batch), deviceKey.compare) { // in one order, so that two nodes cannot wait for each other
		users, names, at = append(users, string(key.user)), append(names, string(key.device)), append(at, batch[key].UnixMilli())
	}
	err := d.db.Update(ctx, func(tx *sqldb.Tx) error {
		b := tx.Batch()
		b.DoSet(noteDevices, users, names, at, at)
		return b.Send()
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	into := d.written
	if err != nil {
		into = d.waiting
	} else if len(into)+len(batch) > devicesAtAll {
		clear(into)
	}
	for key, at := range batch {
		if _, newer := into[key]; !newer || err == nil {
			into[key] = at
		}
	}
	return err
}

// List returns where user is signed in, the newest session first.
func (d *Devices) List(ctx context.Context, user wire.UserID) (list []Device, err error) {
	if err := d.flush(ctx); err != nil {
		return nil, fmt.Errorf("auth: devices: %w", err)
	}
	err = d.db.View(ctx, func(tx *sqldb.Tx) error {
		list = list[:0]
		rows, err := tx.Query("SELECT device, first_ms, last_ms FROM auth_devices WHERE user_id = ? ORDER BY last_ms DESC, device LIMIT 200", string(user))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err below tells what matters
		for rows.Next() {
			var device string
			var first, last int64
			if err := rows.Scan(&device, &first, &last); err != nil {
				return err
			}
			list = append(list, Device{ID: wire.DeviceID(device), First: time.UnixMilli(first).UTC(), Last: time.UnixMilli(last).UTC()})
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("auth: devices: %w", err)
	}
	return list, nil
}

// SignOut withdraws the tokens with which device, or with "" every device, of
// user is signed in, on all nodes, and takes it off the list.
func (d *Devices) SignOut(ctx context.Context, user wire.UserID, device wire.DeviceID) error {
	if err := d.revoke(ctx, user, device); err != nil {
		return err
	}
	d.forget(user, device)
	err := d.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("DELETE FROM auth_devices WHERE user_id = ? AND (device = ? OR ? = '')", string(user), string(device), string(device))
		return err
	})
	if err != nil {
		return fmt.Errorf("auth: devices: %w", err)
	}
	return nil
}

func (d *Devices) revoke(ctx context.Context, user wire.UserID, device wire.DeviceID) error {
	if device == "" {
		return d.verifier.RevokeUser(ctx, user, d.clock.Now())
	}
	return d.verifier.RevokeDevice(ctx, user, device, d.clock.Now())
}

// forget has the next session of the device noted again.
func (d *Devices) forget(user wire.UserID, device wire.DeviceID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range []map[deviceKey]time.Time{d.waiting, d.written} {
		for key := range m {
			if key.user == user && (device == "" || key.device == device) {
				delete(m, key)
			}
		}
	}
}

// SignedOut reports whether the tokens of user, or those used on device, that
// were issued then are withdrawn: also for a token that names no device.
func (v *Verifier) SignedOut(user wire.UserID, device wire.DeviceID, issued time.Time) bool {
	return v.revoked.covers(Identity{Caller: wire.Caller{User: user, Device: device}, Issued: issued})
}
