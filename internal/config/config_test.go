package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley/internal/config"
)

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoad_FlagsBeatEnvironmentBeatsFileBeatsDefaults(t *testing.T) {
	f := file(t, "http:\n  listen: 127.0.0.1:1\n  origins: [https://a, https://b]\npayments:\n  hold_time: 1h\n  fee_basis_points: 10\n")
	c, err := config.Load(f, []string{"PARLEY_HTTP_LISTEN=127.0.0.1:2", "PARLEY_PAYMENTS_FEE_BASIS_POINTS=20", "HOME=/x"}, []string{"http.listen=127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "127.0.0.1:3" || c.Payments.FeeBasisPoints != 20 || c.Payments.HoldTime != time.Hour || len(c.HTTP.Origins) != 2 || c.Hub.Heartbeat != 25*time.Second {
		t.Errorf("got %+v", c)
	}
}

func TestLoad_RefusesWhatItDoesNotKnowAndSaysWhatIsNear(t *testing.T) {
	for name, try := range map[string]struct {
		file, env, set string
		want           string
	}{
		"file":     {file: "http:\n  lisen: x\n", want: `did you mean "http.listen"`},
		"variable": {env: "PARLEY_HTTP_LISTNE=x", want: "did you mean PARLEY_HTTP_LISTEN"},
		"flag":     {set: "turn.sekret=x", want: `did you mean "turn.secret"`},
		"number":   {set: "turn.port_min=many", want: "whole number"},
		"duration": {set: "hub.heartbeat=25", want: "duration such as"},
		"bool":     {set: "turn.enabled=maybe", want: "true or false"},
		"form":     {set: "turn.enabled", want: "key=value"},
	} {
		var f string
		if try.file != "" {
			f = file(t, try.file)
		}
		var env, sets []string
		if try.env != "" {
			env = append(env, try.env)
		}
		if try.set != "" {
			sets = append(sets, try.set)
		}
		_, err := config.Load(f, env, sets)
		if err == nil || !strings.Contains(err.Error(), try.want) {
			t.Errorf("%s: got %v, want %q", name, err, try.want)
		}
	}
}

func TestFields_AreDocumentedAndHideSecrets(t *testing.T) {
	c := config.Default()
	c.Auth.Secret = "hunter2-hunter2"
	for _, f := range config.Fields(&c) {
		if f.Doc == "" {
			t.Errorf("%s has no text", f.Key)
		}
		if strings.Contains(f.Text(), "hunter2") {
			t.Errorf("%s shows a secret", f.Key)
		}
	}
}

func TestDefaultFile_LoadsAndChangesNothing(t *testing.T) {
	got, err := config.Load("../../configs/default.yaml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("configs/default.yaml gives %+v, the defaults are %+v", got, want)
	}
}
