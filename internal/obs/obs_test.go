package obs_test

import (
	"io"
	"strconv"
	"testing"

	"parley/internal/obs"
)

func TestRecent_KeepsTheNewestFirst(t *testing.T) {
	var r obs.Recent
	for i := range 250 {
		r.Add(obs.Problem{Code: strconv.Itoa(i)})
		if got := r.List(); got[0].Code != strconv.Itoa(i) || len(got) != min(i+1, 100) {
			t.Fatalf("after %d: first %s of %d", i, got[0].Code, len(got))
		}
	}
	if last := r.List()[99].Code; last != "150" {
		t.Errorf("oldest kept is %s, want 150", last)
	}
}

func TestNewLogger_RefusesWhatItDoesNotKnow(t *testing.T) {
	if _, err := obs.NewLogger(io.Discard, "loud", "text"); err == nil {
		t.Error("took level loud")
	}
	if _, err := obs.NewLogger(io.Discard, "info", "xml"); err == nil {
		t.Error("took format xml")
	}
}
