package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"parley/payments"
)

// Find implements payments.Rail. By id Stripe tells at once; by reference alone
// it may take a minute until a new object can be searched, so that within a day
// an absent order is to be given again, under the same reference.
func (r *Rail) Find(ctx context.Context, o payments.RailOrder, id string) (payments.RailOutcome, error) {
	amount, reason := minorUnits(o)
	if reason != "" {
		return payments.RailOutcome{Status: payments.RailRefused, Reason: reason}, nil
	}
	var got object
	var err error
	switch {
	case o.Action == payments.RailCapture || o.Action == payments.RailVoid:
		got, err = r.byID(ctx, "/v1/payment_intents/", o.Of)
	case id != "":
		got, err = r.byID(ctx, collection(o)+"/", id)
	default:
		got, err = r.byReference(ctx, o)
	}
	if errors.Is(err, errAbsent) {
		return payments.RailOutcome{Status: payments.RailAbsent}, nil
	}
	if err != nil {
		return payments.RailOutcome{}, err
	}
	return r.outcome(o, amount, got)
}

// errAbsent says that Stripe has no such object.
var errAbsent = errors.New("stripe: no such object")

// collection is where the objects of an action live.
func collection(o payments.RailOrder) string {
	switch {
	case o.Action == payments.RailRefund:
		return "/v1/refunds"
	case o.Action == payments.RailPayout && connected(o):
		return "/v1/transfers"
	case o.Action == payments.RailPayout:
		return "/v1/payouts"
	}
	return "/v1/payment_intents"
}

func (r *Rail) byID(ctx context.Context, path, id string) (object, error) {
	var got object
	err := r.call(ctx, http.MethodGet, path+url.PathEscape(id), nil, "", &got)
	var refused *apiError
	if errors.As(err, &refused) && refused.status == http.StatusNotFound && refused.Code == "resource_missing" {
		return got, errAbsent
	}
	return got, err
}

const (
	// findPages bounds the pages of a list that are looked through for one order.
	findPages = 50
	// madeBefore and madeAfter bound when Stripe can have made the object of an
	// order: clocks differ, and orders are repeated for a day.
	madeBefore = time.Hour
	madeAfter  = 25 * time.Hour
)

// byReference looks for the object that carries the order's reference.
func (r *Rail) byReference(ctx context.Context, o payments.RailOrder) (object, error) {
	path, query := collection(o), url.Values{"limit": {"100"}}
	switch {
	case o.Action == payments.RailRefund:
		query.Set("payment_intent", o.Of)
	case o.Action == payments.RailPayout && connected(o):
		query.Set("transfer_group", o.Reference)
	case o.Action == payments.RailPayout:
		query.Set("created[gte]", strconv.FormatInt(o.At.Add(-madeBefore).Unix(), 10))
		query.Set("created[lte]", strconv.FormatInt(o.At.Add(madeAfter).Unix(), 10))
	default:
		path += "/search"
		query.Set("query", fmt.Sprintf("metadata[%q]:%q", "reference", o.Reference))
	}
	for range findPages {
		var page list
		if err := r.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, "", &page); err != nil {
			return object{}, err
		}
		for _, got := range page.Data {
			if got.reference() == o.Reference {
				return got, nil
			}
		}
		if !page.HasMore || len(page.Data) == 0 {
			return object{}, errAbsent
		}
		if page.NextPage != "" {
			query.Set("page", page.NextPage)
		} else {
			query.Set("starting_after", page.Data[len(page.Data)-1].ID)
		}
	}
	return object{}, fmt.Errorf("stripe: order %s not found on %d pages of %s", o.Reference, findPages, path)
}
