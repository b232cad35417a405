package identity

import (
	"context"
	"encoding/json"

	"parley/internal/sqldb"
	"parley/wire"
)

// Checker returns the check of user's answers to challenge, with the passkeys
// that are registered now.
func (p *Passkeys) Checker(ctx context.Context, user wire.UserID, challenge [32]byte) (check func(json.RawMessage) error, err error) {
	var o *owner
	err = p.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		o, err = p.ownerTx(tx, user)
		return err
	})
	return func(raw json.RawMessage) error {
		_, err := p.verify(o, challenge, raw)
		return err
	}, err
}
