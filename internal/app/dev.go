package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"parley/chat"
	"parley/identity"
	"parley/internal/auth"
	"parley/internal/config"
	"parley/payments"
	"parley/wire"
)

// The keys of dev mode are fixed and visibly fake, so that nobody keeps them.
const (
	devKeyPrefix = "sk_dev_"
	devServerKey = devKeyPrefix + "parley_not_a_secret"
	devSecret    = "parley-dev-mode-secret-that-everybody-knows"
	devTokenLife = 30 * 24 * time.Hour
	// devMoney is what each demo user starts with, in cents.
	devMoney    = 500_00
	devCurrency = "EUR"
	// devExchange owns what the exchange starts with.
	devExchange = "exchange"
)

// devPeople are the demo users; the first two know each other as buyer and seller.
var devPeople = []struct{ id, name, verified string }{
	{"buyer", "A. Buyer", "A. Buyer"},
	{"seller", "V. Seller", "V. Seller"},
	{"mira", "Mira", "Mira Lund"},
	{"jonas", "Jonas", "Jonas Weber"},
	{"lea", "Lea", "Lea Marin"},
}

// DevSettings are the settings of dev mode, as key=value, for a node whose
// files are in dir. Port 0 takes free ports throughout.
func DevSettings(dir string, port int) []string {
	turnPort, tlsPort, mediaPort := 3478, 5349, 7882
	if port == 0 {
		turnPort, tlsPort, mediaPort = 0, 0, 0
	}
	return []string{
		fmt.Sprintf("http.listen=127.0.0.1:%d", port),
		"database.url=" + filepath.Join(dir, "parley.db"),
		"auth.secret=" + devSecret,
		"auth.server_keys=" + devServerKey,
		"payments.sandbox=true",
		"payments.fee_basis_points=100",
		"webhooks.allow_private=true",
		"turn.host=localhost",
		fmt.Sprintf("turn.udp=127.0.0.1:%d", turnPort),
		fmt.Sprintf("turn.tcp=127.0.0.1:%d", turnPort),
		fmt.Sprintf("turn.tls=127.0.0.1:%d", tlsPort),
		"turn.allow_peers=127.0.0.0/8",
		fmt.Sprintf("media.udp=127.0.0.1:%d", mediaPort),
	}
}

// welcome prepares what a fresh node needs and tells how to reach it.
func (n *Node) welcome(ctx context.Context) (Info, error) {
	info := n.info()
	if !n.opts.Dev {
		return info, nil
	}
	if err := n.seed(ctx); err != nil {
		return info, fmt.Errorf("demo data: %w", err)
	}
	info.Keys.Secret = devServerKey
	for _, p := range devPeople {
		token, err := n.parts.verifier.Mint(wire.UserID(p.id), devTokenLife, auth.MintOptions{Name: p.name})
		if err != nil {
			return info, err
		}
		info.Users = append(info.Users, InfoUser{ID: p.id, Name: p.name, Token: token, Link: n.baseURL + "/demo/#token=" + token})
	}
	operator, err := n.parts.verifier.Mint("operator", devTokenLife, auth.MintOptions{Name: "Operator", Role: wire.RoleOperator})
	info.ConsoleLink = info.ConsoleURL + "#token=" + operator
	return info, err
}

// seed makes the demo users, their money and their conversations. Doing it again changes nothing.
func (n *Node) seed(ctx context.Context) error {
	server := wire.Caller{Role: wire.RoleServer}
	for _, p := range devPeople {
		if err := n.parts.identity.Directory.Seen(ctx, wire.UserID(p.id), p.name); err != nil {
			return err
		}
		if _, err := n.parts.identity.Directory.Put(ctx, server, wire.UserID(p.id), identity.UserChange{Name: p.name, VerifiedName: &p.verified}); err != nil {
			return err
		}
		if err := n.parts.fund(ctx, p.id, devMoney, devCurrency, "dev-start-"+p.id); err != nil {
			return err
		}
	}
	for _, d := range []chat.Draft{
		{Kind: chat.Direct, Members: []wire.UserID{"buyer", "seller"}},
		{Kind: chat.Direct, Members: []wire.UserID{"buyer", "mira"}},
		{Kind: chat.Group, Title: "Dinner club", Members: []wire.UserID{"buyer", "mira", "jonas", "lea"}, ClientID: "dev-dinner-club"},
	} {
		if _, err := n.parts.chat.Create(ctx, server, d); err != nil {
			return err
		}
	}
	return n.stockExchange(ctx)
}

// stockExchange gives conversions something to give out.
func (n *Node) stockExchange(ctx context.Context) error {
	if err := n.parts.identity.Directory.Seen(ctx, devExchange, "Exchange"); err != nil {
		return err
	}
	for currency, amount := range map[string]int64{"EUR": 50_000_00, "GBP": 50_000_00, "CHF": 50_000_00} {
		if err := n.parts.fund(ctx, devExchange, amount, currency, "dev-exchange-"+currency); err != nil {
			return err
		}
		stock := payments.Actor{Server: true, Key: "dev-stock-" + currency}
		if _, err := n.parts.payments.StockExchange(ctx, stock, payments.StockInput{User: devExchange, Amount: amount, Currency: currency}); err != nil {
			return fmt.Errorf("exchange: %w", err)
		}
	}
	return n.setRates(ctx)
}

// setRates sets the exchange rates of a node that has none yet.
func (n *Node) setRates(ctx context.Context) error {
	known, err := n.parts.payments.ListRates(ctx)
	if err != nil || len(known) > 0 {
		return err
	}
	for to, price := range map[string]string{"GBP": "0.8641", "CHF": "0.9384"} {
		if _, err := n.parts.payments.PutRate(ctx, payments.Actor{Server: true}, devCurrency, to, price); err != nil {
			return fmt.Errorf("exchange rate: %w", err)
		}
	}
	return nil
}

// MintToken signs a user token with the configured secret, or with dev mode's;
// grants may be nil.
func MintToken(cfg config.Config, dev bool, user, name, ttl string, grants *wire.TopicGrants) (string, error) {
	secret := cfg.Auth.Secret
	if dev {
		secret = devSecret
	}
	if secret == "" {
		return "", errors.New("no secret to sign with: set auth.secret, or --dev for the keys of parley dev")
	}
	life, err := time.ParseDuration(ttl)
	if err != nil || life <= 0 {
		return "", fmt.Errorf("--ttl %q: want a duration such as 15m or 1h", ttl)
	}
	return auth.Mint([]byte(secret), cfg.Auth.Audience, time.Now(), wire.UserID(user), life, auth.MintOptions{Name: name, Topics: grants})
}
