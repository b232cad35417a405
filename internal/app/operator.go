package app

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"

	"parley/api"
	"parley/hub"
	"parley/internal/sqldb"
	"parley/payments"
	"parley/payments/ledger"
	"parley/signaling"
	"parley/wire"
)

// shownMax bounds each list of an overview.
const shownMax = 100

// Overview implements api.Operator.
func (p *parts) Overview(ctx context.Context) (api.Overview, error) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	o := api.Overview{
		Node: api.NodeInfo{
			Version: Version, UptimeS: p.node.clock.Now().Sub(p.started).Seconds(),
			Goroutines: runtime.NumGoroutine(), HeapBytes: mem.HeapAlloc, Database: string(p.db.Dialect()),
		},
		Problems: p.recent.List(),
	}
	open := p.hub.Sessions()
	o.Sockets, o.Topics = sockets(open), topicsOf(p.hub.JoinedAll())
	var err error
	if o.Calls, _, err = p.calls.List(ctx, wire.Caller{Role: wire.RoleOperator}, signaling.Filter{Limit: shownMax}); err != nil {
		return o, err
	}
	if o.Payments, _, err = p.payments.List(ctx, payments.Actor{Server: true}, payments.Filter{Limit: shownMax}); err != nil {
		return o, err
	}
	for i := range o.Payments {
		o.Payments[i].Memo = "" // what people wrote is theirs
	}
	if o.Accounts, err = p.accounts(ctx); err != nil {
		return o, err
	}
	if o.Counters, err = p.totals(); err != nil {
		return o, err
	}
	o.Counters["sockets"], o.Counters["problems"] = int64(len(open)), int64(len(o.Problems))
	if p.sfu != nil {
		o.Counters["rooms"] = int64(len(p.sfu.Rooms()))
	}
	if p.turn != nil {
		o.Counters["relay_allocations"] = int64(p.turn.Allocations())
	}
	return o, nil
}

// rated are the metrics that an overview tells the totals of, so that whoever
// asks again can see rates.
var rated = map[string]string{
	"parley_hub_messages_in_total":  "messages_in_total",
	"parley_hub_published_total":    "published_total",
	"parley_hub_delivered_total":    "delivered_total",
	"parley_hub_drops_total":        "drops_total",
	"parley_chat_entries_total":     "entries_total",
	"parley_call_signals_total":     "signals_total",
	"parley_api_calls_total":        "operations_total",
	"parley_topics_published_total": "topic_publications_total",
	"parley_webhook_attempts_total": "webhook_attempts_total",
}

// totals are the rated counters, each over all its labels.
func (p *parts) totals() (map[string]int64, error) {
	families, err := p.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("app: metrics: %w", err)
	}
	totals := make(map[string]int64, len(rated)+4)
	for _, f := range families {
		name, ok := rated[f.GetName()]
		if !ok {
			continue
		}
		for _, m := range f.GetMetric() {
			totals[name] += int64(m.GetCounter().GetValue())
		}
	}
	return totals, nil
}

func sockets(open []hub.Info) []api.SocketInfo {
	slices.SortFunc(open, func(a, b hub.Info) int { return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(a.Session, b.Session)) })
	list := make([]api.SocketInfo, 0, min(len(open), shownMax))
	for _, s := range open[:min(len(open), shownMax)] {
		list = append(list, api.SocketInfo{Session: s.Session, User: s.User, Device: s.Device, Since: s.Opened, Addr: s.Addr, QueuedBytes: s.QueuedBytes})
	}
	return list
}

func topicsOf(joined map[string]int) []api.TopicInfo {
	list := make([]api.TopicInfo, 0, len(joined))
	for topic, n := range joined {
		list = append(list, api.TopicInfo{Topic: topic, Joined: n})
	}
	slices.SortFunc(list, func(a, b api.TopicInfo) int {
		return cmp.Or(cmp.Compare(b.Joined, a.Joined), cmp.Compare(a.Topic, b.Topic))
	})
	return list[:min(len(list), shownMax)]
}

func (p *parts) accounts(ctx context.Context) ([]api.AccountInfo, error) {
	list := []api.AccountInfo{}
	err := p.db.View(ctx, func(tx *sqldb.Tx) error {
		found, err := ledger.Accounts(tx, "", "", shownMax)
		list = list[:0]
		for _, a := range found {
			list = append(list, api.AccountInfo{ID: a.ID, Currency: a.Currency, Posted: a.Posted, Pending: a.PendingOut})
		}
		return err
	})
	return list, err
}

// fund gives a demo user play money, once per key.
func (p *parts) fund(ctx context.Context, user string, amount int64, currency, key string) error {
	_, err := p.payments.Fund(ctx, payments.Actor{Server: true, Key: key}, payments.FundInput{User: user, Amount: amount, Currency: currency})
	return err
}
