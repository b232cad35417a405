package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"parley/client"
	"parley/internal/app"
)

// till makes what the writes of money need: each call gives a new object.
type till struct {
	t *testing.T
	n *node
	k int
}

// write is one write of money: who does it, what, and what else would have
// come with the same key.
type write struct {
	as        string // a demo user; empty: a server key
	path      string
	body      any
	other     any    // another body for the same path
	otherPath string // or another path
	settles   string // state that the rail brings it to later; the answer may show it
}

func (s *till) key() string { s.k++; return fmt.Sprintf("matrix-%d", s.k) }

func (s *till) rest(user string) *client.REST {
	if user == "" {
		return s.n.server("")
	}
	return &client.REST{URL: s.n.info.URL, Token: s.n.token(user)}
}

// do makes a write that is not under test.
func (s *till) do(user, path string, body any) string {
	s.t.Helper()
	var out struct {
		ID    string
		Items []struct{ ID string }
	}
	if err := s.rest(user).Do(s.t.Context(), "POST", path, s.key(), body, &out); err != nil {
		s.t.Fatalf("POST %s: %v", path, err)
	}
	if out.ID == "" && len(out.Items) > 0 {
		return out.Items[0].ID
	}
	return out.ID
}

type object map[string]any

// asked, held and captured are payments of 10.00 EUR without live confirmation.
func (s *till) asked() string {
	return s.do("", "/v1/payments", object{"payer": "buyer", "payee": "seller", "amount": 1000, "currency": "EUR", "confirm": "none", "capture": "manual"})
}

func (s *till) held() string {
	id := s.asked()
	s.do("buyer", "/v1/payments/"+id+"/hold", object{"version": 1})
	return id
}

func (s *till) captured() string {
	id := s.held()
	s.do("", "/v1/payments/"+id+"/capture", object{})
	return id
}

// on is a command on one payment that came for another with the same key.
func on(as, command string, body any, first, second string) write {
	return write{as: as, path: "/v1/payments/" + first + "/" + command, body: body, otherPath: "/v1/payments/" + second + "/" + command}
}

func pending(amount int) object {
	return object{"transfers": []object{{"pending": true, "legs": []object{
		{"account": "app:world", "currency": "EUR", "amount": -amount}, {"account": "app:till", "currency": "EUR", "amount": amount}}}}}
}

// writes says how each write of money is made.
var writes = map[string]func(s *till) write{
	"payments.create": func(*till) write {
		return write{as: "seller", path: "/v1/payments", body: object{"payer": "buyer", "amount": 1000, "currency": "EUR"}, other: object{"payer": "buyer", "amount": 1001, "currency": "EUR"}}
	},
	"payments.hold":    func(s *till) write { return on("buyer", "hold", object{"version": 1}, s.asked(), s.asked()) },
	"payments.edit":    func(s *till) write { return on("seller", "edit", object{"amount": 900}, s.held(), s.held()) },
	"payments.capture": func(s *till) write { return on("", "capture", object{"amount": 400}, s.held(), s.held()) },
	"payments.extend":  func(s *till) write { return on("buyer", "extend", object{"expires_in": 864000}, s.held(), s.held()) },
	"payments.reduce":  func(s *till) write { return on("seller", "reduce", object{"amount": 400}, s.held(), s.held()) },
	"payments.void":    func(s *till) write { return on("buyer", "void", object{}, s.held(), s.held()) },
	"payments.decline": func(s *till) write { return on("buyer", "decline", object{}, s.asked(), s.asked()) },
	"payments.cancel":  func(s *till) write { return on("seller", "cancel", object{}, s.asked(), s.asked()) },
	"payments.refund":  func(s *till) write { return on("seller", "refund", object{"amount": 100}, s.captured(), s.captured()) },
	"payments.remind": func(s *till) write {
		asked := func() string {
			return s.do("seller", "/v1/payments", object{"payer": "buyer", "amount": 1000, "currency": "EUR", "expires_in": 172800})
		}
		first, second := asked(), asked()
		s.n.clock.Advance(25 * time.Hour) // once a day, the request itself included
		return on("seller", "remind", object{}, first, second)
	},
	"payments.report": func(s *till) write { return on("buyer", "report", object{}, s.captured(), s.captured()) },
	"payments.answer": func(s *till) write {
		id := s.captured()
		s.do("buyer", "/v1/payments/"+id+"/report", object{})
		return write{as: "seller", path: "/v1/payments/" + id + "/answer", body: object{"text": "It was sent."}, other: object{"text": "It was not."}}
	},
	"payments.resolve": func(s *till) write {
		id := s.captured()
		s.do("buyer", "/v1/payments/"+id+"/report", object{})
		return write{path: "/v1/payments/" + id + "/resolve", body: object{"outcome": "payer"}, other: object{"outcome": "payee"}}
	},
	"sandbox.fund": func(*till) write {
		return write{path: "/v1/sandbox/fund", body: object{"user": "buyer", "amount": 100, "currency": "EUR"}, other: object{"user": "buyer", "amount": 101, "currency": "EUR"}}
	},
	"topups.create": func(*till) write {
		return write{path: "/v1/topups", body: object{"user": "buyer", "amount": 100, "currency": "EUR"}, other: object{"user": "buyer", "amount": 101, "currency": "EUR"}, settles: "done"}
	},
	"payouts.create": func(*till) write {
		out := func(amount int) object {
			return object{"amount": amount, "currency": "EUR", "destination": "sandbox:iban"}
		}
		return write{as: "buyer", path: "/v1/payouts", body: out(100), other: out(101), settles: "done"}
	},
	"conversions.quote": func(s *till) write {
		s.rate()
		return write{as: "buyer", path: "/v1/conversions", body: object{"from": "EUR", "to": "USD", "source": 100}, other: object{"from": "EUR", "to": "USD", "source": 101}}
	},
	"conversions.accept": func(s *till) write {
		s.rate()
		s.do("", "/v1/sandbox/fund", object{"user": "lea", "amount": 100000, "currency": "USD"})
		s.do("", "/v1/exchange", object{"user": "lea", "amount": 100000, "currency": "USD"})
		quote := func() string {
			return s.do("buyer", "/v1/conversions", object{"from": "EUR", "to": "USD", "source": 100})
		}
		return write{as: "buyer", path: "/v1/conversions/" + quote() + "/accept", body: object{}, otherPath: "/v1/conversions/" + quote() + "/accept"}
	},
	"exchange.stock": func(s *till) write {
		return write{path: "/v1/exchange", body: object{"user": "lea", "amount": 100, "currency": "EUR"}, other: object{"user": "lea", "amount": 101, "currency": "EUR"}}
	},
	"ledger.transfers.create": func(s *till) write {
		s.accounts()
		return write{path: "/v1/ledger/transfers", body: pending(5), other: pending(6)}
	},
	"ledger.transfers.post": func(s *till) write { return s.transfer("post") },
	"ledger.transfers.void": func(s *till) write { return s.transfer("void") },
	"ledger.transfers.reverse": func(s *till) write {
		posted := func() string {
			id := s.reserved()
			return s.do("", "/v1/ledger/transfers/"+id+"/post", object{})
		}
		return write{path: "/v1/ledger/transfers/" + posted() + "/reverse", body: object{}, otherPath: "/v1/ledger/transfers/" + posted() + "/reverse"}
	},
	"links.create": func(*till) write {
		return write{as: "seller", path: "/v1/links", body: object{"amount": 1000, "currency": "EUR"}, other: object{"amount": 1001, "currency": "EUR"}}
	},
	"links.pay": func(s *till) write {
		return write{as: "buyer", path: "/v1/links/" + s.link() + "/pay", body: object{}, otherPath: "/v1/links/" + s.link() + "/pay"}
	},
	"links.cancel": func(s *till) write {
		return write{as: "seller", path: "/v1/links/" + s.link() + "/cancel", body: object{}, otherPath: "/v1/links/" + s.link() + "/cancel"}
	},
	"requests.create": func(s *till) write {
		return write{as: "lea", path: "/v1/requests", body: dinner(900), other: dinner(901)}
	},
	"requests.cancel": func(s *till) write {
		made := func() string { return s.do("lea", "/v1/requests", dinner(900)) }
		return write{as: "lea", path: "/v1/requests/" + made() + "/cancel", body: object{}, otherPath: "/v1/requests/" + made() + "/cancel"}
	},
}

func dinner(amount int) object {
	return object{"payers": []object{{"user": "mira"}, {"user": "jonas"}}, "split": "equal", "amount": amount, "currency": "EUR"}
}

func (s *till) link() string {
	return s.do("seller", "/v1/links", object{"amount": 1000, "currency": "EUR"})
}

func (s *till) rate() {
	s.t.Helper()
	if err := s.rest("").Do(s.t.Context(), "PUT", "/v1/rates", "", object{"from": "EUR", "to": "USD", "price": "1.08"}, nil); err != nil {
		s.t.Fatal(err)
	}
}

func (s *till) accounts() {
	s.t.Helper()
	for _, a := range []object{{"account": "app:world", "currency": "EUR", "may_go_negative": true}, {"account": "app:till", "currency": "EUR"}} {
		if err := s.rest("").Do(s.t.Context(), "POST", "/v1/ledger/accounts", "", a, nil); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *till) reserved() string {
	s.accounts()
	return s.do("", "/v1/ledger/transfers", pending(7))
}

func (s *till) transfer(command string) write {
	return write{path: "/v1/ledger/transfers/" + s.reserved() + "/" + command, body: object{}, otherPath: "/v1/ledger/transfers/" + s.reserved() + "/" + command}
}

// apart are the writes of money whose keys have tests of their own, because
// they need two people in a call.
var apart = []string{"confirmations.submit"}

func TestIdempotency_EveryWriteOfMoney(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name string }
		}
	}
	text, err := app.OpenAPI()
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	covered := slices.Concat(slices.Collect(maps.Keys(writes)), apart)
	for path, verbs := range doc.Paths {
		for _, op := range verbs {
			for _, p := range op.Parameters {
				if p.Name == "Idempotency-Key" && !slices.Contains(covered, op.OperationID) {
					t.Errorf("%s (%s) takes a key and is not tried here", op.OperationID, path)
				}
			}
		}
	}
	dir := t.TempDir()
	n := start(t, dir, "hub.rate=100000", "hub.burst=100000")
	s := &till{t: t, n: n}
	s.do("", "/v1/sandbox/fund", object{"user": "buyer", "amount": 500000, "currency": "EUR"})
	for _, name := range slices.Sorted(maps.Keys(writes)) {
		t.Run(name, func(t *testing.T) {
			s.t = t
			s.try(writes[name](s))
		})
	}
	n.stop()
	checkLedger(t, dir)
}

// try makes a write without a key, with one, again, and with the key for something else.
func (s *till) try(w write) {
	t := s.t
	t.Helper()
	rest := s.rest(w.as)
	post := func(path, key string, body any) (json.RawMessage, error) {
		var out json.RawMessage
		err := rest.Do(context.WithoutCancel(t.Context()), "POST", path, key, body, &out)
		return out, err
	}
	_, err := post(w.path, "", w.body)
	wantCode(t, err, "idempotency_key_missing")
	before := s.journal()
	key := s.key()
	first, err := post(w.path, key, w.body)
	if err != nil {
		t.Fatalf("first: %v", err)
	}
	after := s.journal()
	again, err := post(w.path, key, w.body)
	if err != nil {
		t.Fatalf("again: %v", err)
	}
	if w.settles == "" && string(first) != string(again) {
		t.Errorf("first answered %s, again %s", first, again)
	}
	if w.otherPath == "" {
		w.otherPath = w.path
	}
	if w.other == nil {
		w.other = w.body
	}
	_, err = post(w.otherPath, key, w.other)
	wantCode(t, err, "idempotency_key_reused")
	if now := s.journal(); w.settles == "" && now != after {
		t.Errorf("the journal went from %d to %d, then to %d without a new write", before, after, now)
	}
	if w.settles != "" {
		s.settle(w, first)
	}
}

// settle waits until the rail has done its part, so that it does not happen during another write.
func (s *till) settle(w write, answer json.RawMessage) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var made struct{ ID, State string }
	if err := json.Unmarshal(answer, &made); err != nil {
		s.t.Fatal(err)
	}
	for made.State != w.settles {
		if err := s.rest(w.as).Do(ctx, "GET", w.path+"/"+made.ID, "", nil, &made); err != nil {
			s.t.Fatalf("%s is %s: %v", made.ID, made.State, err)
		}
	}
}

// journal counts the ledger's transfers.
func (s *till) journal() int {
	s.t.Helper()
	count, cursor := 0, ""
	for {
		var page struct {
			Items []json.RawMessage
			Next  string
		}
		if err := s.rest("").Do(s.t.Context(), "GET", "/v1/ledger/transfers?limit=100&cursor="+cursor, "", nil, &page); err != nil {
			s.t.Fatal(err)
		}
		count += len(page.Items)
		if page.Next == "" {
			return count
		}
		cursor = page.Next
	}
}
