package app_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/config"
	"parley/wire"
)

type ledgerLeg struct {
	Account  string `json:"account"`
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"`
}

func legs(from, to string, amount int64) []ledgerLeg {
	return []ledgerLeg{{from, "EUR", -amount}, {to, "EUR", amount}}
}

type ledgerTransfer struct {
	ID, Kind, Resolves, Reference, Note string
	ResolvedBy                          string `json:"resolved_by"`
	Seq                                 int64
	Postings                            []ledgerLeg
}

type ledgerBalance struct {
	Posted, Available int64
	PendingOut        int64 `json:"pending_out"`
	By                string
}

// books is the ledger over REST with the server key.
type books struct {
	t *testing.T
	n *node
}

func (b books) try(method, path, key string, in, out any) *wire.Problem {
	b.t.Helper()
	err := b.n.server("").Do(context.Background(), method, "/v1/ledger"+path, key, in, out)
	var problem *wire.Problem
	if err != nil && !errors.As(err, &problem) {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return problem
}

func (b books) do(method, path, key string, in, out any) {
	b.t.Helper()
	if problem := b.try(method, path, key, in, out); problem != nil {
		b.t.Fatalf("%s %s: %+v", method, path, problem)
	}
}

func (b books) refused(code, method, path, key string, in any) {
	b.t.Helper()
	if problem := b.try(method, path, key, in, nil); problem == nil || problem.Code != code {
		b.t.Errorf("%s %s: %+v, want %s", method, path, problem, code)
	}
}

func (b books) move(key string, transfers ...map[string]any) []ledgerTransfer {
	b.t.Helper()
	var out struct{ Items []ledgerTransfer }
	b.do("POST", "/transfers", key, map[string]any{"transfers": transfers}, &out)
	return out.Items
}

func (b books) balance(account, query string) (got ledgerBalance) {
	b.t.Helper()
	b.do("GET", "/accounts/"+account+"/EUR/balance"+query, "", nil, &got)
	return got
}

func (b books) open(account string, more map[string]any) map[string]any {
	b.t.Helper()
	in := map[string]any{"account": account, "currency": "EUR"}
	for k, v := range more {
		in[k] = v
	}
	var out map[string]any
	b.do("POST", "/accounts", "", in, &out)
	return out
}

func TestLedger_TheAppsOwnAccountsOverREST(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir)
	b := books{t, n}
	opened := b.open("app:bank", map[string]any{"may_go_negative": true, "metadata": map[string]string{"iban": "DE89"}})
	if opened["kind"] != "app" || opened["metadata"].(map[string]any)["iban"] != "DE89" {
		t.Errorf("opened %v", opened)
	}
	b.open("app:bank", map[string]any{"may_go_negative": true})
	b.refused("account_terms", "POST", "/accounts", "", map[string]any{"account": "app:bank", "currency": "EUR"})
	b.open("app:bonus", map[string]any{"ceiling": 1000})

	had := b.balance("user:buyer:available", "").Posted
	linked := b.move("k1",
		map[string]any{"legs": legs("app:bank", "app:bonus", 900), "reference": "order-17", "note": "spring"},
		map[string]any{"legs": legs("app:bonus", "user:buyer:available", 300), "effective_at": "2026-01-01T00:00:00Z"})
	if len(linked) != 2 || linked[0].Reference != "app/order-17" || linked[1].Seq != linked[0].Seq+1 {
		t.Errorf("linked %+v", linked)
	}
	if again := b.move("k1",
		map[string]any{"legs": legs("app:bank", "app:bonus", 900), "reference": "order-17", "note": "spring"},
		map[string]any{"legs": legs("app:bonus", "user:buyer:available", 300), "effective_at": "2026-01-01T00:00:00Z"}); again[0].ID != linked[0].ID {
		t.Errorf("the same key again: %+v", again)
	}
	if got := available(n, "buyer"); got != had+300 {
		t.Errorf("the buyer can spend %d", got)
	}
	b.refused("account_ceiling", "POST", "/transfers", "k2", map[string]any{"transfers": []any{map[string]any{"legs": legs("app:bank", "app:bonus", 500)}}})
	b.refused("insufficient_funds", "POST", "/transfers", "k3", map[string]any{"transfers": []any{map[string]any{"legs": legs("app:bonus", "user:buyer:available", 5000)}}})
	b.refused("reference_used", "POST", "/transfers", "k4", map[string]any{"transfers": []any{map[string]any{"legs": legs("app:bank", "app:bonus", 1), "reference": "order-17"}}})

	pendingPlayed(b)
	reversalPlayed(b, linked[1].ID)
	readsPlayed(b, had)
	b.refused("account_not_empty", "POST", "/accounts/app:bonus/EUR/close", "", nil)
	n.stop()
	checkLedger(t, dir)
}

// pendingPlayed reserves, posts in part, voids and lets expire.
func pendingPlayed(b books) {
	b.t.Helper()
	reserve := func(key string, amount int64) string {
		return b.move(key, map[string]any{"legs": legs("user:buyer:available", "app:bank", amount), "pending": true, "expires_in": 3600})[0].ID
	}
	part, gone, late := reserve("p1", 200), reserve("p2", 50), reserve("p3", 70)
	if got := b.balance("user:buyer:available", ""); got.PendingOut != 320 || got.Available != got.Posted-320 {
		b.t.Errorf("reserved: %+v", got)
	}
	var posted ledgerTransfer
	b.do("POST", "/transfers/"+part+"/post", "p4", map[string]any{"legs": legs("user:buyer:available", "app:bank", 120)}, &posted)
	if posted.Kind != "post" || posted.Resolves != part || posted.Postings[1].Amount != 120 {
		b.t.Errorf("posted %+v", posted)
	}
	b.do("POST", "/transfers/"+gone+"/void", "p5", nil, nil)
	b.refused("transfer_resolved", "POST", "/transfers/"+gone+"/post", "p6", nil)
	b.n.clock.Advance(time.Hour)
	timeout := time.After(patience)
	for {
		var e ledgerTransfer
		b.do("GET", "/transfers/"+late, "", nil, &e)
		if e.ResolvedBy != "" {
			break
		}
		select {
		case <-timeout:
			b.t.Fatal("what was pending has not expired")
		case <-time.After(5 * time.Millisecond):
		}
	}
	b.refused("transfer_resolved", "POST", "/transfers/"+late+"/post", "p7", nil)
	b.refused("transfer_unknown", "POST", "/transfers/tr_none/void", "p8", nil)
	if got := b.balance("user:buyer:available", ""); got.PendingOut != 0 {
		b.t.Errorf("nothing is pending any more: %+v", got)
	}
}

// reversalPlayed takes back a transfer of 300.
func reversalPlayed(b books, of string) {
	b.t.Helper()
	before := b.balance("app:bonus", "").Posted
	for range 2 {
		var back ledgerTransfer
		b.do("POST", "/transfers/"+of+"/reverse", "r1", map[string]any{"note": "mistake"}, &back)
		if back.Resolves != of || back.Note != "mistake" {
			b.t.Errorf("reversed by %+v", back)
		}
	}
	if got := b.balance("app:bonus", "").Posted; got != before+300 {
		b.t.Errorf("the reversal brought %d", got-before)
	}
	b.refused("transfer_reversed", "POST", "/transfers/"+of+"/reverse", "r2", nil)
	var was ledgerTransfer
	b.do("GET", "/transfers/"+of, "", nil, &was)
	b.refused("transfer_not_reversible", "POST", "/transfers/"+was.ResolvedBy+"/reverse", "r3", nil)
}

// readsPlayed looks at the same from all sides.
func readsPlayed(b books, had int64) {
	b.t.Helper()
	if got := b.balance("user:buyer:available", "?as_of=2026-01-02T00:00:00Z&by=effective"); got.Posted != 300 || got.By != "effective" {
		b.t.Errorf("by effect: %+v", got)
	}
	if got := b.balance("user:buyer:available", "?as_of=2026-01-02T00:00:00Z"); got.Posted != 0 {
		b.t.Errorf("in the journal by then: %+v", got)
	}
	var lines []int64
	for cursor := ""; ; {
		var page struct {
			Items []struct{ Amount, Balance int64 }
			Next  string
		}
		b.do("GET", "/accounts/user:buyer:available/EUR/statement?limit=2&cursor="+cursor, "", nil, &page)
		for _, l := range page.Items {
			lines = append(lines, l.Balance)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(lines) < 6 || lines[0] != had-120 {
		b.t.Errorf("balances after each line: %v", lines)
	}
	var list struct {
		Items []ledgerTransfer
		Next  string
	}
	b.do("GET", "/transfers?reference=app/order-17", "", nil, &list)
	if len(list.Items) != 1 || list.Items[0].Note != "spring" {
		b.t.Errorf("by reference: %+v", list)
	}
	b.do("GET", "/transfers?account=app:bonus&limit=2", "", nil, &list)
	if len(list.Items) != 2 || list.Next == "" {
		b.t.Errorf("by account: %+v", list)
	}
	var accounts struct{ Items []struct{ ID string } }
	b.do("GET", "/accounts?kind=app", "", nil, &accounts)
	if len(accounts.Items) != 2 {
		b.t.Errorf("accounts of the app: %+v", accounts)
	}
	var account map[string]any
	b.do("PUT", "/accounts/user:buyer:available/EUR/metadata", "", map[string]any{"metadata": map[string]string{"tier": "gold"}}, &account)
	if account["metadata"].(map[string]any)["tier"] != "gold" {
		b.t.Errorf("account %v", account)
	}
	b.refused("account_unknown", "GET", "/accounts/app:none/EUR", "", nil)
}

func TestLedger_ProtectsWhatBelongsToPayments(t *testing.T) {
	n := start(t, t.TempDir())
	b := books{t, n}
	b.open("app:bank", map[string]any{"may_go_negative": true})
	for _, account := range []string{"user:buyer:held", "fees", "rail:sandbox", "opening"} {
		b.refused("ledger_reserved", "POST", "/transfers", "k-"+account, map[string]any{"transfers": []any{map[string]any{"legs": legs("app:bank", account, 5)}}})
	}
	b.refused("user_unknown", "POST", "/transfers", "k-nobody", map[string]any{"transfers": []any{map[string]any{"legs": legs("app:bank", "user:nobody:available", 5)}}})
	b.refused("idempotency_key_missing", "POST", "/transfers", "", map[string]any{"transfers": []any{map[string]any{"legs": legs("app:bank", "user:buyer:available", 5)}}})
	b.refused("transfer_invalid", "POST", "/transfers", "k-sum", map[string]any{"transfers": []any{map[string]any{"legs": []ledgerLeg{{"app:bank", "EUR", -5}, {"user:buyer:available", "EUR", 6}}}}})
	b.move("k-1", map[string]any{"legs": legs("app:bank", "user:buyer:available", 5)})
	problem := b.try("POST", "/transfers", "k-1", map[string]any{"transfers": []any{map[string]any{"legs": legs("app:bank", "user:buyer:available", 6)}}}, nil)
	if problem == nil || problem.Code != "idempotency_key_reused" || problem.Status != http.StatusUnprocessableEntity || !strings.Contains(problem.Detail, "transfers[0].legs[0].amount") {
		t.Errorf("another body: %+v", problem)
	}
	p := n.join("buyer", "b1")
	for _, method := range []string{"ledger.accounts.list", "ledger.transfers.list", "ledger.statement"} {
		if _, err := p.try(method, map[string]any{"account": "user:buyer:available", "currency": "EUR"}); err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("%s by a user: %v", method, err)
		}
	}
}

func TestLedger_OneKeyFromFiftyClients(t *testing.T) {
	n := start(t, t.TempDir())
	b := books{t, n}
	b.open("app:bank", map[string]any{"may_go_negative": true})
	had := available(n, "buyer")
	ids := make([]string, 50)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			var out struct{ Items []ledgerTransfer }
			in := map[string]any{"transfers": []any{map[string]any{"legs": legs("app:bank", "user:buyer:available", 7)}}}
			if err := n.server("").Do(t.Context(), "POST", "/v1/ledger/transfers", "one-key", in, &out); err != nil || len(out.Items) != 1 {
				t.Errorf("client %d: %+v, %v", i, out, err)
				return
			}
			ids[i] = out.Items[0].ID
		})
	}
	wg.Wait()
	for i := range ids {
		if ids[i] != ids[0] {
			t.Errorf("client %d was told of %s, the first of %s", i, ids[i], ids[0])
		}
	}
	if got := available(n, "buyer"); got != had+7 {
		t.Errorf("moved %d", got-had)
	}
}

func TestLedger_ImportedExportedAndStated(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Database.URL = filepath.Join(dir, "parley.db")
	file := filepath.Join(dir, "opening.csv")
	if err := os.WriteFile(file, []byte("account,currency,amount\nuser:ann:available,EUR,1050\napp:reserve,EUR,9900\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	l := app.Ledger{Config: cfg, Out: &out}
	for _, want := range []string{"2 to be recorded", "2 recorded, 0 recorded before", "0 recorded, 2 recorded before"} {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		out.Reset()
		err = l.Import(t.Context(), f, strings.Contains(want, "to be"))
		if err = errors.Join(err, f.Close()); err != nil || !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "109.50 EUR") {
			t.Errorf("%s, %v; want %s", out.String(), err, want)
		}
	}
	checkLedger(t, dir)
	var bar strings.Builder
	if err := (app.Ledger{Config: cfg, Out: io.Discard, Bar: &bar}).Check(t.Context()); err != nil || !strings.HasSuffix(bar.String(), "\r\x1b[K") {
		t.Errorf("drew %q, %v", bar.String(), err)
	}
	out.Reset()
	if err := l.Export(t.Context(), "csv", app.LedgerPart{Account: "app:reserve"}); err != nil || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("%s, %v", out.String(), err)
	}
	out.Reset()
	if err := l.Statement(t.Context(), app.LedgerPart{Account: "user:ann:available"}, 10); err != nil || !strings.Contains(out.String(), "10.50 EUR") {
		t.Errorf("%s, %v", out.String(), err)
	}
	bad := strings.NewReader("account,currency,amount\nuser:ann:held,EUR,5\n")
	if err := l.Import(t.Context(), bad, false); err == nil || !strings.Contains(err.Error(), "line 2: reserved for payments") {
		t.Errorf("held by import: %v", err)
	}
}
