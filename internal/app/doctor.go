package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"parley/internal/config"
	"parley/internal/sqldb"
)

// finding is one line of the doctor's: what was looked at, how it is, what to do.
type finding struct {
	what, state, fix string
	bad              bool
}

// Doctor looks at what a node with this configuration needs and writes a line
// for each to w. It reports whether all is well.
func Doctor(ctx context.Context, cfg config.Config, w io.Writer) bool {
	well := true
	for _, look := range []func(context.Context, config.Config) []finding{
		checkPorts, checkTURN, checkTLS, checkClock, checkDatabase, checkRedis, checkAuth,
	} {
		for _, f := range look(ctx, cfg) {
			mark := "ok  "
			if f.bad {
				mark, well = "BAD ", false
			}
			line := fmt.Sprintf("%s %-10s %s", mark, f.what, f.state)
			if f.fix != "" {
				line += ": " + f.fix
			}
			_, _ = fmt.Fprintln(w, line) // standard output
		}
	}
	return well
}

func checkPorts(ctx context.Context, cfg config.Config) []finding {
	type port struct{ network, addr, key string }
	ports := []port{{"tcp", cfg.HTTP.Listen, "http.listen"}}
	if cfg.TURN.Enabled {
		ports = append(ports, port{"udp", cfg.TURN.UDP, "turn.udp"}, port{"tcp", cfg.TURN.TCP, "turn.tcp"}, port{"tcp", cfg.TURN.TLS, "turn.tls"})
	}
	if cfg.Media.Enabled {
		ports = append(ports, port{"udp", cfg.Media.UDP, "media.udp"})
	}
	var found []finding
	for _, p := range ports {
		if p.addr != "" {
			found = append(found, tryPort(ctx, p.network, p.addr, p.key))
		}
	}
	return found
}

func tryPort(ctx context.Context, network, addr, key string) finding {
	var lc net.ListenConfig
	var c io.Closer
	var err error
	if network == "udp" {
		c, err = lc.ListenPacket(ctx, network, addr)
	} else {
		c, err = lc.Listen(ctx, network, addr)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return finding{"port", fmt.Sprintf("%s %s is taken", network, addr), "stop what uses it (a running Parley?) or change " + key, true}
	case errors.Is(err, syscall.EACCES):
		return finding{"port", fmt.Sprintf("%s %s is not allowed", network, addr), "use a port above 1023 or give the process CAP_NET_BIND_SERVICE", true}
	case err != nil:
		return finding{"port", fmt.Sprintf("%s %s: %v", network, addr, err), "correct " + key, true}
	}
	_ = c.Close() // opened only to see that it can be
	return finding{what: "port", state: fmt.Sprintf("%s %s is free", network, addr)}
}

func checkTURN(_ context.Context, cfg config.Config) []finding {
	t := cfg.TURN
	if !t.Enabled {
		return []finding{{what: "turn", state: "off: calls between strict networks will fail"}}
	}
	ip, err := netip.ParseAddr(t.RelayIP)
	public, perr := url.Parse(cfg.HTTP.PublicURL)
	remote := perr == nil && public.Hostname() != "" && public.Hostname() != "localhost"
	switch {
	case err != nil:
		return []finding{{"turn", fmt.Sprintf("relay address %q cannot be read", t.RelayIP), "set turn.relay_ip to the machine's public address", true}}
	case remote && ip.IsLoopback():
		return []finding{{"turn", "relays on loopback although the node is public", "set turn.relay_ip to the machine's public address", true}}
	case remote && t.TLS == "":
		return []finding{{what: "turn", state: "no TLS relay", fix: "networks that let only TLS through need turn.tls, turn.cert_file and turn.key_file"}}
	case t.TLS != "" && t.CertFile == "":
		return []finding{{what: "turn", state: "TLS relay with a self-signed certificate", fix: "browsers refuse it; set turn.cert_file and turn.key_file"}}
	}
	return []finding{{what: "turn", state: "relay address " + t.RelayIP}}
}

func checkTLS(_ context.Context, cfg config.Config) []finding {
	var found []finding
	for _, pair := range []struct{ what, cert, key string }{{"http", cfg.HTTP.CertFile, cfg.HTTP.KeyFile}, {"turn", cfg.TURN.CertFile, cfg.TURN.KeyFile}} {
		if pair.cert == "" && pair.key == "" {
			continue
		}
		c, err := tls.LoadX509KeyPair(pair.cert, pair.key)
		switch {
		case err != nil:
			found = append(found, finding{"tls", fmt.Sprintf("%s certificate: %v", pair.what, err), "check " + pair.what + ".cert_file and " + pair.what + ".key_file", true})
		case time.Until(c.Leaf.NotAfter) < 14*24*time.Hour:
			found = append(found, finding{"tls", fmt.Sprintf("%s certificate ends %s", pair.what, c.Leaf.NotAfter.Format(time.DateOnly)), "renew it", time.Now().After(c.Leaf.NotAfter)})
		default:
			found = append(found, finding{what: "tls", state: fmt.Sprintf("%s certificate is good until %s", pair.what, c.Leaf.NotAfter.Format(time.DateOnly))})
		}
	}
	if len(found) == 0 {
		found = append(found, finding{what: "tls", state: "off", fix: "browsers allow microphones and passkeys on localhost or over HTTPS only"})
	}
	return found
}

func checkClock(context.Context, config.Config) []finding {
	if now := time.Now(); now.Year() < 2025 {
		return []finding{{"clock", "stands at " + now.UTC().Format(time.RFC3339), "set the time; tokens and deadlines depend on it", true}}
	}
	var tx syscall.Timex
	state, err := syscall.Adjtimex(&tx)
	const unsynchronised = 5 // TIME_ERROR of adjtimex(2)
	if err == nil && state == unsynchronised {
		return []finding{{what: "clock", state: "is not synchronised", fix: "run a time service such as systemd-timesyncd"}}
	}
	return []finding{{what: "clock", state: "is synchronised"}}
}

func checkDatabase(ctx context.Context, cfg config.Config) []finding {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: cfg.Database.URL})
	if err != nil {
		return []finding{{"database", err.Error(), "check database.url, that the server runs, and that the folder can be written", true}}
	}
	dialect := db.Dialect()
	if err := db.Close(); err != nil {
		return []finding{{"database", err.Error(), "check the file system", true}}
	}
	return []finding{{what: "database", state: string(dialect) + " answers"}}
}

func checkAuth(_ context.Context, cfg config.Config) []finding {
	switch {
	case cfg.Auth.Secret == "" && len(cfg.Auth.JWKS) == 0:
		return []finding{{"auth", "nobody's tokens are believed", "set auth.jwks to your issuer, or auth.secret", true}}
	case cfg.Auth.Secret != "" && len(cfg.Auth.Secret) < 32:
		return []finding{{"auth", "auth.secret is short", "use at least 32 random bytes", true}}
	case len(cfg.Auth.ServerKeys) == 0:
		return []finding{{what: "auth", state: "no server keys", fix: "your backend needs one in auth.server_keys"}}
	}
	return []finding{{what: "auth", state: "tokens and server keys are configured"}}
}
