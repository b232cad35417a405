// Package archtest holds the tests that keep the import directions, the doors
// of outside libraries, and the habits of the code.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath   string
	Doc          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

// allowed says which of our packages a package may import besides the leaves
// and its own subpackages; "*" is everything.
var allowed = map[string][]string{
	"parley/wire":                       nil,
	"parley/wire/jsoncbor":              nil,
	"parley/internal/clock":             nil,
	"parley/internal/sqldb":             nil,
	"parley/internal/obs":               nil,
	"parley/internal/config":            nil,
	"parley/internal/sqldb/sqldbtest":   {"parley/internal/sqldb", "parley/wire"},
	"parley/payments/ledger":            {"parley/internal/sqldb"},
	"parley/payments/outbox":            {"parley/internal/sqldb", "parley/internal/clock"},
	"parley/payments":                   {"parley/internal/sqldb", "parley/internal/clock", "parley/payments/ledger", "parley/payments/outbox"},
	"parley/payments/stripe":            {"parley/payments"},
	"parley/chat":                       {"leaves"},
	"parley/signaling":                  {"leaves"},
	"parley/identity":                   {"leaves"},
	"parley/identity/authenticatortest": {"leaves"},
	"parley/media":                      {"leaves", "parley/media/opus"},
	"parley/media/opus":                 {"leaves"},
	"parley/media/opus/opustest":        {"leaves"},
	"parley/turn":                       {"leaves"},
	"parley/hub":                        {"leaves", "parley/hub/broker", "parley/hub/rawsock", "parley/wire/jsoncbor"},
	"parley/hub/broker":                 {"leaves"},
	"parley/hub/rawsock":                nil,
	"parley/internal/redisdb":           nil,
	"parley/internal/crash":             nil,
	"parley/internal/cluster":           {"leaves"},
	"parley/internal/redisdb/redistest": {"parley/internal/redisdb"},
	"parley/hub/broker/brokertest":      {"leaves", "parley/hub/broker"},
	"parley/hub/presence":               {"leaves"},
	"parley/webhook":                    {"leaves"},
	"parley/safety":                     {"leaves"},
	"parley/topics":                     {"leaves"},
	"parley/configs":                    nil,
	"parley/internal/auth":              {"leaves"},
	"parley/api":                        {"leaves", "parley/chat", "parley/signaling", "parley/identity", "parley/payments", "parley/payments/ledger", "parley/hub/presence", "parley/internal/cluster", "parley/webhook", "parley/safety", "parley/topics"},
	"parley/client":                     {"leaves", "parley/identity/authenticatortest", "parley/wire/jsoncbor"},
	"parley/internal/load":              {"leaves", "parley/client", "parley/payments/ledger"},
	"parley/internal/act":               {"leaves", "parley/client", "parley/identity/authenticatortest"},
	"parley/web":                        nil,
	"parley/internal/archtest":          nil,
	"parley/test/cluster":               nil,
	"parley/internal/app":               {"*"},
	"parley/cmd/parley":                 {"leaves", "parley/internal/app", "parley/internal/config", "parley/internal/cluster", "parley/internal/load", "parley/internal/act", "parley/client"},
}

var leaves = []string{"parley/wire", "parley/internal/clock", "parley/internal/sqldb", "parley/internal/obs"}

// doors says who may import an outside library, by prefix of its path.
var doors = map[string][]string{
	"github.com/fxamacker/cbor":                               {"parley/wire/jsoncbor"},
	"github.com/coder/websocket":                              {"parley/hub", "parley/client"},
	"github.com/pion/webrtc":                                  {"parley/media", "parley/client"},
	"github.com/pion/ice":                                     {"parley/media", "parley/client"},
	"github.com/pion/turn":                                    {"parley/turn"},
	"github.com/redis/go-redis":                               {"parley/internal/redisdb", "parley/hub/broker", "parley/hub/presence", "parley/internal/cluster"},
	"modernc.org/sqlite":                                      {"parley/internal/sqldb"},
	"github.com/jackc/pgx":                                    {"parley/internal/sqldb"},
	"github.com/pressly/goose":                                {"parley/internal/sqldb"},
	"gopkg.in/hraban/opus":                                    {"parley/media/opus"},
	"github.com/danielgtaylor/huma":                           {"parley/api"},
	"github.com/golang-jwt/jwt":                               {"parley/internal/auth", "parley/identity"},
	"github.com/MicahParks/keyfunc":                           {"parley/internal/auth"},
	"github.com/go-webauthn/webauthn":                         {"parley/identity", "parley/identity/authenticatortest"},
	"github.com/gowebpki/jcs":                                 {"parley/identity"},
	"github.com/alecthomas/kong":                              {"parley/cmd/parley"},
	"github.com/goccy/go-yaml":                                {"parley/internal/config", "parley/safety"},
	"github.com/prometheus/client_golang/prometheus/promhttp": {"parley/internal/obs"},
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags", "opus,nolibopusfile", "-json=ImportPath,Doc,Imports,TestImports,XTestImports,GoFiles,TestGoFiles,XTestGoFiles", "parley/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestImports_FollowTheTable(t *testing.T) {
	for _, p := range list(t) {
		rule, ok := allowed[p.ImportPath]
		if !ok {
			t.Errorf("%s is not in the import table: add a row that says what it may import", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if (i == "parley" || strings.HasPrefix(i, "parley/")) && !mayImport(rule, i) {
				t.Errorf("%s imports %s, which its row does not allow", p.ImportPath, i)
			}
		}
	}
}

func mayImport(rule []string, i string) bool {
	return slices.Contains(rule, "*") || slices.Contains(rule, i) || slices.Contains(rule, "leaves") && slices.Contains(leaves, i)
}

func TestOutsideLibraries_HaveOneDoor(t *testing.T) {
	for _, p := range list(t) {
		for _, i := range p.Imports {
			if err := throughDoor(p.ImportPath, i); err != nil {
				t.Error(err)
			}
		}
	}
}

func throughDoor(from, i string) error {
	for lib, who := range doors {
		if strings.HasPrefix(i, lib) && !slices.Contains(who, from) {
			return fmt.Errorf("%s imports %s; only %v may", from, i, who)
		}
	}
	return nil
}

func TestPackages_SayWhatTheyOwn(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestTests_CheckForLeaks(t *testing.T) {
	exempt := []string{"parley/internal/archtest", "parley/internal/config", "parley/internal/obs", "parley/wire", "parley/wire/jsoncbor", "parley/web"}
	for _, p := range list(t) {
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 || slices.Contains(exempt, p.ImportPath) {
			continue
		}
		if !slices.Contains(append(p.TestImports, p.XTestImports...), "go.uber.org/goleak") {
			t.Errorf("tests of %s do not look for leaked goroutines (goleak)", p.ImportPath)
		}
	}
}
