package api

import (
	"context"
	"time"

	"parley/webhook"
	"parley/wire"
)

// webhookRules maps what webhooks refuse to problems.
var webhookRules = []Rule{
	{Is: webhook.ErrServerOnly, Code: "servers_only", Status: 403, Title: "Only for server keys"},
	{Is: webhook.ErrUnknown, Code: "webhook_unknown", Status: 404, Title: "No such webhook"},
	{Is: webhook.ErrDeliveryUnknown, Code: "delivery_unknown", Status: 404, Title: "No such delivery"},
	{Is: webhook.ErrURL, Code: "webhook_url_invalid", Status: 422, Title: "Nothing may be sent to this URL"},
	{Is: webhook.ErrFilter, Code: "invalid_params", Status: 422, Title: "Invalid parameters"},
	{Is: webhook.ErrInput, Code: "invalid_params", Status: 422, Title: "Invalid parameters"},
	{Is: webhook.ErrLimit, Code: "webhook_limit", Status: 409, Title: "Too many webhooks"},
	{Is: webhook.ErrDisabled, Code: "webhook_disabled", Status: 409, Title: "The webhook is disabled"},
}

type webhookCreateInput struct {
	URL         string   `json:"url" minLength:"1" maxLength:"2048" doc:"https; http and private addresses in dev mode only" example:"https://shop.example/parley"`
	Description string   `json:"description,omitempty" maxLength:"200"`
	Events      []string `json:"events,omitempty" maxItems:"32" doc:"types such as payment.held, or payment.*; all if left out" example:"[\"payment.*\"]"`
}

type webhookInput struct {
	Webhook string `json:"webhook" maxLength:"80" doc:"webhook id"`
}

type webhookUpdateInput struct {
	Webhook     string    `json:"webhook" maxLength:"80" doc:"webhook id"`
	URL         *string   `json:"url,omitempty" minLength:"1" maxLength:"2048"`
	Description *string   `json:"description,omitempty" maxLength:"200"`
	Events      *[]string `json:"events,omitempty" maxItems:"32" doc:"for events from now on"`
	Disabled    *bool     `json:"disabled,omitempty" doc:"false enables again, also after an answer of 410"`
}

type webhookRotateInput struct {
	Webhook string `json:"webhook" maxLength:"80" doc:"webhook id"`
	KeepS   *int64 `json:"keep_s,omitempty" minimum:"0" maximum:"2592000" doc:"seconds for which the previous keys sign as well; a day if left out"`
}

type webhookTestInput struct {
	Webhook string `json:"webhook" maxLength:"80" doc:"webhook id"`
	Type    string `json:"type,omitempty" maxLength:"64" doc:"webhook.test if left out" example:"payment.captured"`
}

type webhookListOutput struct {
	Items []webhook.Endpoint `json:"items"`
}

type deliveryListInput struct {
	Webhook string `json:"webhook" maxLength:"80" doc:"webhook id"`
	State   string `json:"state,omitempty" enum:"pending,succeeded,dead"`
	Cursor  string `json:"cursor,omitempty" maxLength:"80" doc:"next of the page before"`
	Limit   int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"50 if left out"`
}

type deliveryListOutput struct {
	Items []webhook.Delivery `json:"items"`
	Next  string             `json:"next" doc:"cursor of the next page; empty on the last"`
}

type deliveryReplayInput struct {
	Webhook  string    `json:"webhook" maxLength:"80" doc:"webhook id"`
	Delivery string    `json:"delivery,omitempty" maxLength:"80" doc:"one delivery"`
	Since    time.Time `json:"since,omitzero" required:"false" doc:"or all deliveries made since then"`
	DeadOnly bool      `json:"dead_only,omitempty" doc:"leave out what has succeeded"`
}

type deliveryReplayOutput struct {
	Replayed int `json:"replayed"`
}

// webhookOperations are the webhooks' rows of the table.
func webhookOperations(s *webhook.Service) []Operation {
	return append(endpointOperations(s), deliveryOperations(s)...)
}

// webhookRow is a row for server keys on /v1/webhooks.
func webhookRow(name, method, path, summary, description string) Row {
	return Row{Name: name, Method: method, Path: "/v1/webhooks" + path, Roles: []wire.Role{wire.RoleServer}, Scope: "webhooks", Summary: summary, Description: description}
}

func endpointOperations(s *webhook.Service) []Operation {
	create := webhookRow("webhooks.create", "POST", "", "Be told what happens",
		"Events arrive as signed POST requests after Standard Webhooks, with CloudEvents bodies, in order for each object. The answer holds the secret, which is not shown again.")
	create.Status = 201
	return []Operation{
		Op(create, func(ctx context.Context, c wire.Caller, in webhookCreateInput) (webhook.Endpoint, error) {
			return s.Create(ctx, c, webhook.Change{URL: &in.URL, Description: &in.Description, Events: &in.Events})
		}),
		Op(byOperators(webhookRow("webhooks.list", "GET", "", "All webhooks", "")),
			func(ctx context.Context, c wire.Caller, _ None) (webhookListOutput, error) {
				items, err := s.List(ctx, c)
				return webhookListOutput{Items: items}, err
			}),
		Op(webhookRow("webhooks.get", "GET", "/{webhook}", "One webhook", ""),
			func(ctx context.Context, c wire.Caller, in webhookInput) (webhook.Endpoint, error) {
				return s.Get(ctx, c, in.Webhook)
			}),
		Op(webhookRow("webhooks.update", "PATCH", "/{webhook}", "Change, disable or enable a webhook",
			"A disabled webhook collects no new events; what was pending waits and is sent when it is enabled again."),
			func(ctx context.Context, c wire.Caller, in webhookUpdateInput) (webhook.Endpoint, error) {
				return s.Update(ctx, c, in.Webhook, webhook.Change{URL: in.URL, Description: in.Description, Events: in.Events, Disabled: in.Disabled})
			}),
		Op(webhookRow("webhooks.delete", "DELETE", "/{webhook}", "Remove a webhook with its deliveries", ""),
			func(ctx context.Context, c wire.Caller, in webhookInput) (None, error) {
				return None{}, s.Delete(ctx, c, in.Webhook)
			}),
		Op(webhookRow("webhooks.rotate", "POST", "/{webhook}/rotate", "Make new keys",
			"For a while both the new and the previous keys sign, so that the receiver can change over without losing anything."),
			func(ctx context.Context, c wire.Caller, in webhookRotateInput) (webhook.Endpoint, error) {
				keep := 24 * time.Hour
				if in.KeepS != nil {
					keep = time.Duration(*in.KeepS) * time.Second
				}
				return s.Rotate(ctx, c, in.Webhook, keep)
			}),
		Op(webhookRow("webhooks.test", "POST", "/{webhook}/test", "Send a test event", "With the data `{\"test\":true}`, whatever the filters."),
			func(ctx context.Context, c wire.Caller, in webhookTestInput) (webhook.Delivery, error) {
				return s.Test(ctx, c, in.Webhook, in.Type)
			}),
	}
}

func deliveryOperations(s *webhook.Service) []Operation {
	return []Operation{
		Op(byOperators(webhookRow("deliveries.list", "GET", "/{webhook}/deliveries", "What was and is to be delivered", "Newest first, with the attempts. `state=dead` lists the dead letters.")),
			func(ctx context.Context, c wire.Caller, in deliveryListInput) (deliveryListOutput, error) {
				items, next, err := s.Deliveries(ctx, c, in.Webhook, webhook.Filter{State: webhook.State(in.State), Cursor: in.Cursor, Limit: in.Limit})
				return deliveryListOutput{Items: items, Next: next}, err
			}),
		Op(byOperators(webhookRow("deliveries.replay", "POST", "/{webhook}/replay", "Deliver again",
			"One delivery, or all made since a time, with their first webhook-id. Finished deliveries are kept for 30 days.")),
			func(ctx context.Context, c wire.Caller, in deliveryReplayInput) (deliveryReplayOutput, error) {
				n, err := s.Replay(ctx, c, in.Webhook, webhook.Selection{Delivery: in.Delivery, Since: in.Since, DeadOnly: in.DeadOnly})
				return deliveryReplayOutput{Replayed: n}, err
			}),
	}
}
