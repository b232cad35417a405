package ledger_test

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

func export(t testing.TB, db *sqldb.DB, f ledger.Format, x ledger.Extract) string {
	t.Helper()
	var b bytes.Buffer
	n, err := ledger.Export(t.Context(), db, &b, f, x)
	if err != nil {
		t.Fatal(err)
	}
	if f == ledger.JSONLines && int(n) != strings.Count(b.String(), "\n") {
		t.Errorf("%d rows on %d lines", n, strings.Count(b.String(), "\n"))
	}
	return b.String()
}

type exported struct {
	Seq        int64
	ID, Kind   string
	Hash, Note string
	Postings   []struct {
		Account, Currency string
		Amount, Balance   int64
	}
}

func lines(t testing.TB, text string) (rows []exported) {
	t.Helper()
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		var e exported
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			t.Fatalf("%v in %s", err, s.Text())
		}
		rows = append(rows, e)
	}
	return rows
}

func TestExport_HasEveryRowOnceAndTheHead(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		if text := export(t, db, ledger.JSONLines, ledger.Extract{}); text != "" {
			t.Errorf("of nothing: %q", text)
		}
		everything(t, db)
		head := check(t, db)
		rows := lines(t, export(t, db, ledger.JSONLines, ledger.Extract{}))
		sum := int64(0)
		for i, r := range rows {
			if r.Seq != int64(i+1) {
				t.Errorf("row %d is numbered %d", i+1, r.Seq)
			}
			for _, p := range r.Postings {
				sum += p.Amount
			}
		}
		if int64(len(rows)) != head.Rows || rows[len(rows)-1].Hash != head.Head || sum != 0 {
			t.Errorf("%d rows of %d, sum %d", len(rows), head.Rows, sum)
		}
		records, err := csv.NewReader(strings.NewReader(export(t, db, ledger.CSV, ledger.Extract{}))).ReadAll()
		if err != nil || records[0][0] != "seq" {
			t.Fatalf("%v %v", records, err)
		}
		postings := int64(0)
		for _, r := range records[1:] {
			if r[11] != "" {
				postings++
			}
		}
		if postings != head.Postings || records[len(records)-1][9] != head.Head {
			t.Errorf("CSV has %d postings of %d", postings, head.Postings)
		}
	})
}

func TestExport_OfAnAccountAndATime(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		for i := range 10 {
			tr := move("world", []string{"a", "b"}[i%2], int64(i+1))
			if err := inBook(t, db, func(tx *sqldb.Tx) error {
				_, err := book.Record(tx, at.Add(time.Duration(i)*time.Hour), tr)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		var amounts []string
		for _, r := range lines(t, export(t, db, ledger.JSONLines, ledger.Extract{Account: "a", Currency: "EUR",
			Period: ledger.Period{From: at.Add(2 * time.Hour), Until: at.Add(8 * time.Hour)}})) {
			for _, p := range r.Postings {
				if p.Account == "a" {
					amounts = append(amounts, strconv.FormatInt(p.Amount, 10)+"="+strconv.FormatInt(p.Balance, 10))
				}
			}
		}
		if got := strings.Join(amounts, " "); got != "3=4 5=9 7=16" {
			t.Errorf("a from 2 to 8 o'clock: %s", got)
		}
		if text := export(t, db, ledger.JSONLines, ledger.Extract{Account: "a", Currency: "USD"}); text != "" {
			t.Errorf("in another currency: %s", text)
		}
		if text := export(t, db, ledger.JSONLines, ledger.Extract{Period: ledger.Period{Until: at}}); text != "" {
			t.Errorf("before it began: %s", text)
		}
		var got []ledger.Line
		err := db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
			got, err = ledger.Statement(tx, "a", "EUR", ledger.Period{From: at.Add(2 * time.Hour), Until: at.Add(8 * time.Hour)}, 0, 2)
			return err
		})
		if err != nil || len(got) != 2 || got[0].Balance != 16 || got[1].Balance != 9 {
			t.Errorf("statement: %+v, %v", got, err)
		}
	})
}

func TestExport_StreamsOverManyPages(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	for range 5 {
		many := make([]ledger.Transfer, 0, 1000)
		for range 1000 {
			many = append(many, move("world", "a", 1))
		}
		mustRecord(t, db, many...)
	}
	for _, x := range []ledger.Extract{{}, {Account: "a"}, {Account: "world", Currency: "EUR"}} {
		rows := lines(t, export(t, db, ledger.JSONLines, x))
		want := 5000
		if x.Account == "" {
			want = 5002
		}
		if len(rows) != want {
			t.Errorf("%+v: %d rows", x, len(rows))
		}
	}
}
