package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/sqldb"
)

func TestLedger_FromImportToCheck(t *testing.T) {
	dir := t.TempDir()
	db, file, bad := filepath.Join(dir, "l.db"), filepath.Join(dir, "opening.jsonl"), filepath.Join(dir, "bad.csv")
	for name, text := range map[string]string{
		file: `{"account":"user:ann:available","currency":"JPY","amount":1050}` + "\n",
		bad:  "account,currency,amount\nuser:ann:available,EUR,1\nfees,EUR,5\nuser:ann:available,EUR,1.5\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	exported := filepath.Join(dir, "out.csv")
	for _, step := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"import", file, "--dry-run"}, 0, []string{"1 to be recorded", "1050 JPY"}},
		{[]string{"import", bad}, 1, []string{"2 lines are wrong", "line 3: reserved for payments", "line 4: amount \"1.5\""}},
		{[]string{"import", file}, 0, []string{"1 recorded, 0 recorded before"}},
		{[]string{"import", file}, 0, []string{"0 recorded, 1 recorded before"}},
		{[]string{"import", filepath.Join(dir, "none.csv")}, 2, []string{"none.csv"}},
		{[]string{"check"}, 0, []string{"The ledger is right", "0 payments explained"}},
		{[]string{"statement", "user:ann:available"}, 0, []string{"posted 1050 JPY", "opening/user:ann:available/JPY"}},
		{[]string{"statement", "user:bob:available"}, 1, []string{"account unknown"}},
		{[]string{"statement", "user:ann:available", "--limit", "0"}, 2, []string{"--limit"}},
		{[]string{"statement", "user:ann:available", "--from", "yesterday"}, 2, []string{"--from"}},
		{[]string{"export"}, 0, []string{`"kind":"open"`, `"balance":1050`}},
		{[]string{"export", "--format", "csv", "--output", exported}, 0, nil},
		{[]string{"export", "--format", "csv", "--output", exported}, 1, []string{"exists"}},
		{[]string{"export", "--format", "xml"}, 2, []string{"xml"}},
		{[]string{"export", "--currency", "EUR"}, 2, []string{"--account"}},
	} {
		code, out, errOut := run(t, nil, append([]string{"ledger", step.args[0], "--db", db}, step.args[1:]...)...)
		if code != step.code {
			t.Errorf("%v: exit %d, want %d; %s%s", step.args, code, step.code, out, errOut)
		}
		for _, want := range step.want {
			if !strings.Contains(out+errOut, want) {
				t.Errorf("%v: %s%s lacks %q", step.args, out, errOut, want)
			}
		}
		if strings.ContainsAny(out+errOut, "\r\x1b") {
			t.Errorf("%v draws where nobody watches: %q", step.args, out+errOut)
		}
	}
	if text, err := os.ReadFile(exported); err != nil || !bytes.HasPrefix(text, []byte("seq,id,kind")) {
		t.Errorf("%s, %v", text, err)
	}
	tamper(t, db)
	if code, out, errOut := run(t, nil, "ledger", "check", "--db", db); code != 1 || !strings.Contains(errOut, "account user:ann:available JPY") {
		t.Errorf("tampered: exit %d, %s%s", code, out, errOut)
	}
}

// tamper gives ann money behind the ledger's back.
func tamper(t *testing.T, path string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	err = db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE ledger_accounts SET posted = posted + 1 WHERE id = 'user:ann:available'")
		return err
	})
	stop()
	if runErr, closeErr := <-ended, db.Close(); err != nil || runErr != nil || closeErr != nil {
		t.Fatal(err, runErr, closeErr)
	}
}
