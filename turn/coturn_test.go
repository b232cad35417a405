package turn_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/turn"
)

// TestCoturnClient_Relays lets coturn's own load client judge the server. The
// client comes with Debian's package coturn (scripts/deps test installs it). It
// binds channels outside the range of RFC 8656 §12, so it only sends indications.
func TestCoturnClient_Relays(t *testing.T) {
	client, err := exec.LookPath("turnutils_uclient")
	if err != nil {
		t.Fatalf("install coturn for its turnutils_uclient: %v", err)
	}
	s := start(t, turn.Config{TLSAddr: "127.0.0.1:0", SelfSigned: true, AllowPeers: loopback})
	_, peer, _ := strings.Cut(echo(t).String(), ":")
	var wait sync.WaitGroup
	defer wait.Wait()
	for name, tt := range map[string]struct {
		transport string
		flags     []string
	}{
		"over UDP":                {"udp", nil},
		"over TCP":                {"tcp", []string{"-t"}},
		"over TLS":                {"tls", []string{"-t", "-S"}},
		"relay to relay over UDP": {"udp", []string{"-y"}},
		"relay to relay over TLS": {"tls", []string{"-y", "-t", "-S"}},
	} {
		wait.Go(func() { // the client takes five seconds whatever it does
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			username, password := s.Credentials("call_"+tt.transport, name, time.Hour)
			args := append([]string{
				"-u", username, "-w", password, "-p", fmt.Sprint(s.Addr(tt.transport).Port()),
				"-e", "127.0.0.1", "-r", peer, "-n", "10", "-m", "2", "-l", "160", "-c", "-s", "-z", "5",
			}, tt.flags...)
			out, err := exec.CommandContext(ctx, client, append(args, "127.0.0.1")...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Total lost packets 0 (0.000000%)") {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		})
	}
}
