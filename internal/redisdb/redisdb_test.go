package redisdb_test

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parley/internal/redisdb"
	"parley/internal/redisdb/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpen_RefusesWhatMakesNoSenseAndShowsNoPassword(t *testing.T) {
	for name, cfg := range map[string]redisdb.Config{
		"nothing":   {},
		"scheme":    {URLs: []string{"http://u:hunter2@host:1"}},
		"database":  {URLs: []string{"redis://u:hunter2@host:1/abc"}},
		"several":   {URLs: []string{"a:1", "b:1"}},
		"both":      {URLs: []string{"a:1"}, Master: "m", Cluster: true},
		"malformed": {URLs: []string{"redis://u:hunter2@host:port"}},
	} {
		_, err := redisdb.Open(cfg)
		if !errors.Is(err, redisdb.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpen_ReachesOneServerSentinelsAndACluster(t *testing.T) {
	for name, cfg := range map[string]redisdb.Config{
		"server":    redistest.Start(t).Config(),
		"sentinels": redistest.StartSentinel(t).Config(),
		"cluster":   redistest.StartCluster(t).Config(),
	} {
		client, err := redisdb.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Set(t.Context(), "key", name, 0).Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := client.Get(t.Context(), "key").Val(); got != name {
			t.Errorf("%s: got %q", name, got)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}
