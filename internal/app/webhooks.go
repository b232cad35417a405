package app

import (
	"encoding/json"
	"fmt"
	"strings"

	"parley/internal/sqldb"
	"parley/payments"
	"parley/payments/outbox"
	"parley/webhook"
	"parley/wire"
)

// hooks hands what happened to webhooks, in the transactions that write it.
type hooks struct{ webhooks *webhook.Service }

// deliver is the outbox consumer: what happened to a payment, a payout, a link
// or a request is named by the change, for example payment.held.
func (h *hooks) deliver(tx *sqldb.Tx, ev outbox.Event) error {
	if ev.Type == payments.RequestEventType && ev.Audience.Conversation != "" {
		return nil // what the conversation may know; backends get the whole
	}
	var data struct {
		Change string `json:"change"`
	}
	if err := json.Unmarshal(ev.Data, &data); err != nil {
		return fmt.Errorf("webhook event %s: %w", ev.ID, err)
	}
	name := ev.Type
	if object, ok := strings.CutSuffix(ev.Type, ".updated"); ok && data.Change != "" {
		name = object + "." + data.Change
	}
	return h.webhooks.Consume(tx, webhook.Event{
		ID: wire.EventID(ev.ID), Type: name, Object: ev.Object, Seq: ev.ObjectSeq, Time: ev.Time, Data: ev.Data,
	})
}

// fromConversations are the first words of the types that begin in a conversation.
var fromConversations = map[string]bool{"message": true, "member": true, "conversation": true, "call": true}

// takes tells which types of entries entry hands on (chat.Deps.Journals).
func (h *hooks) takes(kind string) bool {
	return fromConversations[strings.SplitN(kind, ".", 2)[0]] && h.webhooks.Wanted(kind)
}

// entry hands what happened in a conversation to webhooks, in the transaction
// that writes it (chat.Deps.Journal). The object is the conversation, counted by
// its log. What the outbox tells already is left out, and so is what belongs to
// one user alone.
func (h *hooks) entry(tx *sqldb.Tx, ev wire.Event) error {
	if !h.takes(ev.Type) {
		return nil
	}
	return h.webhooks.Consume(tx, webhook.Event{
		ID: ev.ID, Type: ev.Type, Object: string(ev.Conversation), Seq: ev.Seq, Time: ev.Time, Data: ev.Data,
	})
}
