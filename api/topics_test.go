package api_test

import (
	"strings"
	"testing"

	"parley/api"
	"parley/identity"
)

// What an answer holds is in its description, whatever it is put together from.
func TestTopics_AnswersAreDescribedWhole(t *testing.T) {
	table, err := api.New(api.Config{}, api.Features{Identity: &identity.Service{}}.Operations(), api.Rules())
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	if err := table.WriteSchemas(&all); err != nil {
		t.Fatal(err)
	}
	for schema, members := range map[string][]string{
		"TopicJoinOut":    {"topic", "seq", "epoch", "count", "history", "gap"},
		"TopicHistoryOut": {"topic", "seq", "epoch", "items", "gap", "more"},
		"TopicState":      {"topic", "seq", "epoch", "count"},
		"TopicPlace":      {"topic", "seq", "epoch"},
	} {
		_, text, found := strings.Cut(all.String(), "\n"+schema+" ")
		text, _, _ = strings.Cut(text, "\n")
		for _, m := range members {
			if !found || !strings.Contains(text, `"`+m+`":{`) {
				t.Errorf("%s lacks %s: %s", schema, m, text)
			}
		}
	}
}
