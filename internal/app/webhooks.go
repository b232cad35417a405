package app

import (
	"encoding/json"
	"fmt"

	"parley/internal/sqldb"
	"parley/payments/outbox"
	"parley/webhook"
	"parley/wire"
)

// hooks hands what happened to payments to webhooks: an outbox consumer that
// writes the deliveries in the transaction that moves its cursor.
type hooks struct{ webhooks *webhook.Service }

func (h hooks) deliver(tx *sqldb.Tx, ev outbox.Event) error {
	var data struct {
		Payment json.RawMessage `json:"payment"`
		Change  string          `json:"change"`
	}
	if err := json.Unmarshal(ev.Data, &data); err != nil {
		return fmt.Errorf("webhook event %s: %w", ev.ID, err)
	}
	return h.webhooks.Consume(tx, webhook.Event{
		ID: wire.EventID(ev.ID), Type: "payment." + data.Change, Object: ev.Object, Seq: ev.ObjectSeq, Time: ev.Time, Data: ev.Data,
	})
}
