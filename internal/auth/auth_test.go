package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"parley/internal/auth"
	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = []byte("0123456789abcdef0123456789abcdef")

const serverKey = "sk_live_0123456789abcdef"

// world is a verifier with a clock of its own.
type world struct {
	*auth.Verifier
	db    *sqldb.DB
	clock *clock.Shifted
}

func newWorld(t testing.TB, cfg auth.Config) *world {
	t.Helper()
	return newWorldOn(t, sqldbtest.Open(t, sqldbtest.Schemas{"auth": auth.Schema()}), cfg)
}

func newWorldOn(t testing.TB, db *sqldb.DB, cfg auth.Config) *world {
	t.Helper()
	clk := &clock.Shifted{}
	v, err := auth.New(db, clk, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &world{Verifier: v, db: db, clock: clk}
}

// sign makes a token with the built-in secret and any claims.
func sign(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claims are those of a good token, changed by edits: a nil value removes the claim.
func claims(edits jwt.MapClaims) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{
		"iss": auth.BuiltIn, "aud": "parley-app", "sub": "buyer", "jti": "t1",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"name": "A. Buyer", "device": "dev_b1", "scope": "calls payments",
	}
	for k, v := range edits {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func TestIdentify_TellsWhatTheTokenSays(t *testing.T) {
	w := newWorld(t, auth.Config{Secret: secret, Audience: "parley-app"})
	id, err := w.Identify(t.Context(), sign(t, claims(nil)), "")
	if err != nil {
		t.Fatal(err)
	}
	c := id.Caller
	if c.Role != wire.RoleUser || c.User != "buyer" || c.Device != "dev_b1" || len(c.Scopes) != 2 || id.Name != "A. Buyer" || id.TokenID != "t1" {
		t.Errorf("got %+v", id)
	}
	if !c.Allows("payments") || c.Allows("chat") {
		t.Errorf("scopes are %v", c.Scopes)
	}
	if left := time.Until(id.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("expires in %v", left)
	}
}

func TestIdentify_RefusesTokens(t *testing.T) {
	w := newWorld(t, auth.Config{Secret: secret, Audience: "parley-app"})
	now := time.Now()
	for name, c := range map[string]struct {
		edit jwt.MapClaims
		want error
	}{
		"expired":             {jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()}, auth.ErrExpired},
		"no expiry":           {jwt.MapClaims{"exp": nil}, auth.ErrRefused},
		"no issue time":       {jwt.MapClaims{"iat": nil}, auth.ErrRefused},
		"issued in future":    {jwt.MapClaims{"iat": now.Add(time.Minute).Unix()}, auth.ErrRefused},
		"not yet valid":       {jwt.MapClaims{"nbf": now.Add(time.Minute).Unix()}, auth.ErrRefused},
		"other audience":      {jwt.MapClaims{"aud": "someone"}, auth.ErrRefused},
		"no audience":         {jwt.MapClaims{"aud": nil}, auth.ErrRefused},
		"unknown issuer":      {jwt.MapClaims{"iss": "mallory"}, auth.ErrRefused},
		"no issuer":           {jwt.MapClaims{"iss": nil}, auth.ErrRefused},
		"no subject":          {jwt.MapClaims{"sub": nil}, auth.ErrRefused},
		"subject with spaces": {jwt.MapClaims{"sub": "a b"}, auth.ErrRefused},
		"device of no device": {jwt.MapClaims{"device": "conv_1"}, auth.ErrRefused},
		"role server":         {jwt.MapClaims{"role": "server"}, auth.ErrRefused},
		"role unknown":        {jwt.MapClaims{"role": "root"}, auth.ErrRefused},
		"scope no string":     {jwt.MapClaims{"scope": []string{"calls"}}, auth.ErrRefused},
		"scopes without end":  {jwt.MapClaims{"scope": strings.Repeat("a ", 65)}, auth.ErrRefused},
		"long jti":            {jwt.MapClaims{"jti": strings.Repeat("a", 200)}, auth.ErrRefused},
		"long token":          {jwt.MapClaims{"pad": strings.Repeat("a", auth.TokenMax)}, auth.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.Identify(t.Context(), sign(t, claims(c.edit)), ""); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestIdentify_RefusesSignatures(t *testing.T) {
	w := newWorld(t, auth.Config{Secret: secret, Audience: "parley-app"})
	good := sign(t, claims(nil))
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims(nil)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	hs512, err := jwt.NewWithClaims(jwt.SigningMethodHS512, claims(nil)).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	other, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(nil)).SignedString([]byte(strings.Repeat("x", 32)))
	if err != nil {
		t.Fatal(err)
	}
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(nil))
	critical.Header["crit"] = []string{"b64"}
	crit, err := critical.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"alg none": none, "another HMAC": hs512, "another secret": other, "critical header": crit,
		"cut": good[:len(good)-4], "empty": "", "no token": "hello", "two dots": "..",
		"payload of another": strings.Split(good, ".")[0] + "." + strings.Split(sign(t, claims(jwt.MapClaims{"sub": "seller"})), ".")[1] + "." + strings.Split(good, ".")[2],
	} {
		if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrRefused) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestIdentify_LeewayIsSmall(t *testing.T) {
	w := newWorld(t, auth.Config{Secret: secret})
	token, err := w.Mint("buyer", time.Minute, auth.MintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(62 * time.Second)
	id, err := w.Identify(t.Context(), token, "")
	if err != nil {
		t.Errorf("2 s late: %v", err)
	}
	w.clock.Advance(5 * time.Second)
	if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("7 s late: %v", err)
	}
	if err := w.Valid(t.Context(), id); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("an identity kept: %v", err)
	}
}

func TestIdentify_OperatorsOnlyFromTheBuiltInKey(t *testing.T) {
	theirs := []byte(strings.Repeat("theirs", 8))
	w := newWorld(t, auth.Config{Secret: secret, Issuers: []auth.Issuer{{Name: "shop", Alg: "HS256", Secret: theirs}}})
	token, err := w.Mint("root", time.Hour, auth.MintOptions{Role: wire.RoleOperator})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := w.Identify(t.Context(), token, ""); err != nil || id.Caller.Role != wire.RoleOperator {
		t.Errorf("built-in: %+v, %v", id, err)
	}
	foreign, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(jwt.MapClaims{"iss": "shop", "role": "operator"})).SignedString(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Identify(t.Context(), foreign, ""); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("foreign: %v", err)
	}
	if _, err := w.Mint("x", time.Hour, auth.MintOptions{Role: wire.RoleServer}); err == nil {
		t.Error("minted a server")
	}
}

func TestIdentify_ServerKeys(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := newWorld(t, auth.Config{ServerKeys: []string{serverKey, auth.HashKey("sk_live_fedcba9876543210"), "sk_dev_parley"}, Metrics: reg})
	for _, key := range []string{serverKey, "sk_live_fedcba9876543210", "sk_dev_parley"} {
		id, err := w.Identify(t.Context(), key, "buyer")
		if err != nil || !id.Caller.IsServer() || id.Caller.User != "buyer" || !id.Expires.IsZero() {
			t.Errorf("%s: %+v, %v", key, id, err)
		}
		if err := w.Valid(t.Context(), id); err != nil {
			t.Errorf("%s: does not last: %v", key, err)
		}
	}
	for _, key := range []string{"sk_", "sk_live_0123456789abcde", serverKey + "0", auth.HashKey(serverKey)} {
		if _, err := w.Identify(t.Context(), key, ""); !errors.Is(err, auth.ErrRefused) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := w.Identify(t.Context(), serverKey, "not a user"); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("acting for nobody real: %v", err)
	}
	if !auth.IsDev("sk_dev_parley") || auth.IsDev(serverKey) {
		t.Error("dev keys are not told apart")
	}
	n, err := testutil.GatherAndCount(reg, "parley_auth_bearers_total")
	if err != nil || n != 5 {
		t.Errorf("%d results counted, want 5 from the start: %v", n, err)
	}
}

func TestIdentify_ATokenActsForItsOwnUserOnly(t *testing.T) {
	w := newWorld(t, auth.Config{Secret: secret})
	token, err := w.Mint("buyer", time.Hour, auth.MintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Identify(t.Context(), token, "seller"); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("acting for seller: %v", err)
	}
	if _, err := w.Identify(t.Context(), token, "buyer"); err != nil {
		t.Errorf("acting for themselves: %v", err)
	}
}

func TestNew_RefusesWeakConfigurations(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.Schemas{"auth": auth.Schema()})
	for name, cfg := range map[string]auth.Config{
		"short secret":        {Secret: []byte("short")},
		"short server key":    {ServerKeys: []string{"sk_live"}},
		"no server key":       {ServerKeys: []string{"hello-hello-hello-hello"}},
		"bad hash":            {ServerKeys: []string{"sha256:12"}},
		"algorithm none":      {Issuers: []auth.Issuer{{Name: "x", Alg: "none"}}},
		"secret for ES256":    {Issuers: []auth.Issuer{{Name: "x", Alg: "ES256", Secret: secret, JWKS: "http://x"}}},
		"no key set":          {Issuers: []auth.Issuer{{Name: "x", Alg: "ES256"}}},
		"the built-in's name": {Secret: secret, Issuers: []auth.Issuer{{Name: auth.BuiltIn, Alg: "HS256", Secret: secret}}},
	} {
		if _, err := auth.New(db, clock.System{}, cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRevoke(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"auth": auth.Schema()}, func(t *testing.T, db *sqldb.DB) {
		var heard []auth.Revocation
		w := newWorldOn(t, db, auth.Config{Secret: secret, OnRevoke: func(r auth.Revocation) { heard = append(heard, r) }})
		mint := func(o auth.MintOptions) (string, auth.Identity) {
			token, err := w.Mint("buyer", time.Hour, o)
			if err != nil {
				t.Fatal(err)
			}
			id, err := w.Identify(t.Context(), token, "")
			if err != nil {
				t.Fatal(err)
			}
			return token, id
		}
		check := func(what, token string, want error) {
			t.Helper()
			if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		one, id := mint(auth.MintOptions{})
		phone, _ := mint(auth.MintOptions{Device: "dev_b1"})
		laptop, _ := mint(auth.MintOptions{Device: "dev_b2"})
		if err := w.RevokeToken(t.Context(), id.TokenID, id.Expires); err != nil {
			t.Fatal(err)
		}
		check("its token", one, auth.ErrRevoked)
		check("another token", phone, nil)
		if err := w.Valid(t.Context(), id); !errors.Is(err, auth.ErrRevoked) {
			t.Errorf("an identity kept: %v", err)
		}

		w.clock.Advance(2 * time.Second)
		if err := w.RevokeDevice(t.Context(), "buyer", "dev_b1", w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		check("the device", phone, auth.ErrRevoked)
		check("another device", laptop, nil)

		if err := w.RevokeUser(t.Context(), "buyer", w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		check("all devices", laptop, auth.ErrRevoked)
		w.clock.Advance(2 * time.Second)
		fresh, freshID := mint(auth.MintOptions{Device: "dev_b1"})
		check("a token made after it", fresh, nil)
		if len(heard) != 3 || !heard[1].Covers(auth.Identity{Caller: wire.Caller{User: "buyer", Device: "dev_b1"}}) || heard[2].Covers(freshID) {
			t.Errorf("heard %+v", heard)
		}
		// An earlier time does not lift what is revoked.
		if err := w.RevokeUser(t.Context(), "buyer", w.clock.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		check("after an earlier revocation", laptop, auth.ErrRevoked)
		w.Verifier = newWorldOn(t, db, auth.Config{Secret: secret, OnRevoke: func(r auth.Revocation) { t.Errorf("announced again after a restart: %+v", r) }}).Verifier
		check("after a restart", laptop, auth.ErrRevoked)
	})
}

func TestRevoke_ReachesOtherNodesAndNewOnes(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.Schemas{"auth": auth.Schema()})
	a := newWorldOn(t, db, auth.Config{Secret: secret})
	heard := make(chan auth.Revocation, 1)
	b := newWorldOn(t, db, auth.Config{Secret: secret, RevocationsEvery: time.Millisecond, OnRevoke: func(r auth.Revocation) { heard <- r }})
	token, err := a.Mint("buyer", time.Hour, auth.MintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Identify(t.Context(), token, ""); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	if err := a.RevokeUser(t.Context(), "buyer", a.clock.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-heard:
		if r.User != "buyer" {
			t.Errorf("heard %+v", r)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("never heard of it")
	}
	if _, err := b.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("other node: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	c := newWorldOn(t, db, auth.Config{Secret: secret})
	if _, err := c.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("a node started later: %v", err)
	}
}

func TestRevoke_ForgetsTokensThatHaveExpired(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.Schemas{"auth": auth.Schema()})
	w := newWorldOn(t, db, auth.Config{Secret: secret})
	if err := w.RevokeToken(t.Context(), "t1", w.clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	later := newWorldOn(t, db, auth.Config{Secret: secret})
	later.clock.Advance(time.Hour)
	token, err := later.Mint("buyer", time.Minute, auth.MintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := later.Identify(t.Context(), token, ""); err != nil {
		t.Fatal(err)
	}
	var n int
	err = db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow("SELECT count(*) FROM auth_revocations").Scan(&n) })
	if err != nil || n != 0 {
		t.Errorf("%d rows are kept, %v", n, err)
	}
}

// A token that was found good is remembered, and still ends when it says.
func TestIdentify_ARememberedTokenEnds(t *testing.T) {
	w := newWorld(t, auth.Config{Secret: secret, Audience: "parley-app"})
	token := sign(t, claims(jwt.MapClaims{"exp": time.Now().Add(time.Minute).Unix()}))
	for range 3 {
		id, err := w.Identify(t.Context(), token, "")
		if err != nil || id.Caller.User != "buyer" || id.Caller.Device != "dev_b1" {
			t.Fatalf("got %+v, %v", id, err)
		}
	}
	w.clock.Advance(2 * time.Minute)
	if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("got %v", err)
	}
}
