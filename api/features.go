package api

import (
	"slices"

	"parley/chat"
	"parley/hub/presence"
	"parley/identity"
	"parley/internal/clock"
	"parley/payments"
	"parley/safety"
	"parley/signaling"
	"parley/topics"
	"parley/webhook"
)

// Features are the services behind the table. All but Operator are needed.
type Features struct {
	Chat     *chat.Service
	Presence presence.Board
	Calls    *signaling.Service
	Payments *payments.Service
	Safety   *safety.Service
	Blocks   *safety.Blocks
	// Policy shows a ruling of Safety as payment sheets do.
	Policy   PolicyOf
	Identity *identity.Service
	Webhooks *webhook.Service
	Topics   *topics.Service
	// Clock is nil where time cannot be moved.
	Clock    *clock.Shifted
	Operator Operator
	Nodes    Nodes
	Devices  Devices
}

// Operations are the rows of all features, in the order of the reference.
func (f Features) Operations() []Operation {
	return slices.Concat(
		identityOperations(f.Identity), chatOperations(f.Chat), presenceOperations(f.Presence, f.Chat),
		paymentOperations(f.Payments), requestOperations(f.Payments), blockOperations(f.Blocks), safetyOperations(f.Safety, f.Policy), ledgerOperations(f.Payments), railOperations(f.Payments), conversionOperations(f.Payments), callsOperations(f.Calls), topicOperations(f.Topics), webhookOperations(f.Webhooks), operatorOperations(f.Operator), nodeOperations(f.Nodes), deviceOperations(f.Devices), clockOperations(f.Clock),
	)
}

// Rules are the rules of all features.
func Rules() []Rule {
	return slices.Concat(identityRules, chatRules, requestRules, paymentRules, blockRules, safetyRules, ledgerRules, railRules, conversionRules, callsRules, topicRules, webhookRules, nodeRules)
}
