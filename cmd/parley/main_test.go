package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/client"
	"parley/internal/app"
	"parley/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// run runs the program and returns its exit code and what it printed.
func run(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = (&program{Stdout: &out, Stderr: &err, Env: env}).Run(t.Context(), args)
	return code, out.String(), err.String()
}

func TestCommands_SayWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("http:\n  listn: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		args []string
		env  []string
		code int
		want string
	}{
		"help":              {[]string{"--help"}, nil, 0, "Start a node"},
		"version":           {[]string{"version"}, nil, 0, "parley " + app.Version},
		"no command":        {nil, nil, 2, "expected one of"},
		"unknown command":   {[]string{"fly"}, nil, 2, "fly"},
		"unknown key":       {[]string{"serve", "--config", bad}, nil, 1, `did you mean "http.listen"`},
		"unknown variable":  {[]string{"config"}, []string{"PARLEY_HTTP_LISTN=x"}, 1, "PARLEY_HTTP_LISTEN"},
		"config":            {[]string{"config", "--set", "auth.secret=hush-hush"}, nil, 0, "secret: (hidden)"},
		"dev off loopback":  {[]string{"dev", "--ephemeral", "--set", "http.listen=0.0.0.0:0"}, nil, 1, "loopback only"},
		"sandbox off":       {[]string{"serve", "--set", "http.listen=0.0.0.0:0", "--set", "payments.sandbox=true"}, nil, 1, "play money"},
		"dev key off":       {[]string{"serve", "--set", "http.listen=0.0.0.0:0", "--set", "auth.server_keys=sk_dev_x"}, nil, 1, "refused unless the listener is on loopback"},
		"token, no secret":  {[]string{"token", "ann"}, nil, 1, "no secret to sign with"},
		"token, wrong time": {[]string{"token", "ann", "--dev", "--ttl", "soon"}, nil, 1, "want a duration"},
		"token, wrong user": {[]string{"token", "an n", "--dev"}, nil, 1, "user id"},
		"token":             {[]string{"token", "ann", "--dev"}, nil, 0, "eyJ"},
		"ledger, no ledger": {[]string{"ledger", "check", "--db", filepath.Join(dir, "none.db")}, nil, 1, "there is no ledger"},
		"openapi":           {[]string{"openapi"}, nil, 0, `"openapi": "3.1.0"`},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, err := run(t, try.env, try.args...)
			if code != try.code || !strings.Contains(out+err, try.want) {
				t.Errorf("exit %d, printed %s%s; want %d, %q", code, out, err, try.code, try.want)
			}
			if strings.Contains(out+err, "hush-hush") {
				t.Error("printed a secret")
			}
		})
	}
}

// serve starts `parley dev` and returns what it printed when ready.
func serve(t *testing.T, args ...string) (info app.Info, stop func() int) {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() {
		c := (&program{Stdout: w, Stderr: t.Output()}).Run(ctx, append([]string{"dev", "--port", "0", "--json", "--set", "hub.drain_time=1s"}, args...))
		_ = w.Close()
		code <- c
	}()
	if err := json.NewDecoder(r).Decode(&info); err != nil {
		cancel()
		t.Fatalf("no line: %v (exit %d)", err, <-code)
	}
	stopped := false
	stop = func() int {
		if stopped {
			return 0
		}
		stopped = true
		cancel()
		_, _ = io.Copy(io.Discard, r) // until the program has ended
		return <-code
	}
	t.Cleanup(func() { stop() })
	return info, stop
}

func TestDev_StopDrainsSocketsAndKeepsState(t *testing.T) {
	dir := t.TempDir()
	info, stop := serve(t, "--dir", dir)
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/words/en.json", "/.well-known/jwks.json", "/problems/"} {
		res, err := http.Get(info.URL + path) //nolint:noctx // a test
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", path, res, err)
		}
		_ = res.Body.Close()
	}
	conn := dial(t, info, nil)
	var conv struct{ ID wire.ConversationID }
	if err := conn.Call(t.Context(), "conversations.create", map[string]any{"kind": "direct", "members": []string{"seller"}}, &conv); err != nil {
		t.Fatal(err)
	}
	if err := conn.Call(t.Context(), "messages.send", map[string]any{"conversation": conv.ID, "client_id": "1", "text": "kept"}, nil); err != nil {
		t.Fatal(err)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	<-conn.Done()
	if code := conn.CloseCode(); code != wire.CloseDrain {
		t.Errorf("socket closed with %d", code)
	}

	info, _ = serve(t, "--dir", dir)
	again := dial(t, info, map[wire.ConversationID]int64{conv.ID: 0})
	missed := make(chan struct{})
	for _, c := range again.Opened().Conversations {
		if c.ID == conv.ID && c.Head == 1 && c.From == 1 && !c.Gap {
			close(missed)
		}
	}
	select {
	case <-missed:
	case <-time.After(time.Second):
		t.Errorf("after the restart: %+v", again.Opened())
	}
	code, out, errOut := run(t, nil, "ledger", "check", "--db", filepath.Join(dir, "parley.db"))
	if code != 0 || !strings.Contains(out, "The ledger is right") {
		t.Errorf("ledger check beside a running node: %d %s %s", code, out, errOut)
	}
	if code, out, _ := run(t, nil, "doctor", "--set", "http.listen="+strings.TrimPrefix(info.URL, "http://")); code != 1 || !strings.Contains(out, "is taken") {
		t.Errorf("doctor: %d %s", code, out)
	}
}

func dial(t *testing.T, info app.Info, resume map[wire.ConversationID]int64) *client.Conn {
	t.Helper()
	conn, err := client.Dial(t.Context(), client.Options{SocketURL: info.SocketURL, Token: info.Users[0].Token, Device: "dev_cli", Resume: resume})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}
