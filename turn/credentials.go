package turn

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // The long-term key is MD5 (RFC 8489 §9.2.2).
	"crypto/sha1" //nolint:gosec // REST credentials are HMAC-SHA1 by convention.
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxUsername is what USERNAME may carry (RFC 8489 §14.3: under 509 bytes).
const maxUsername = 508

// clockSkew is how far ahead of the cap an expiry made by another node may lie.
const clockSkew = time.Minute

// identity is who a credential speaks for.
type identity struct {
	call, user string
	expires    time.Time
}

// same reports whether both are the same user in the same call; fresh
// credentials may so refresh an allocation made with older ones.
func (i identity) same(o identity) bool { return i.call == o.call && i.user == o.user }

// credentialUsername writes `<unix expiry>:<call>:<user>`. What is not
// unreserved in call and user is percent-encoded, so that it has exactly two colons.
func credentialUsername(call, user string, expires time.Time) string {
	return strconv.FormatInt(expires.Unix(), 10) + ":" + encodePart(call) + ":" + encodePart(user)
}

// encodePart escapes a part of a username; one too long for USERNAME becomes its hash.
func encodePart(s string) string {
	e := url.QueryEscape(s)
	if len(e) <= 240 {
		return e
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// parseUsername is credentialUsername's inverse.
func parseUsername(username string) (identity, bool) {
	parts := strings.Split(username, ":")
	if len(parts) != 3 || len(username) > maxUsername {
		return identity{}, false
	}
	expiry, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || strconv.FormatInt(expiry, 10) != parts[0] {
		return identity{}, false
	}
	call, err := url.QueryUnescape(parts[1])
	if err != nil || call == "" {
		return identity{}, false
	}
	user, err := url.QueryUnescape(parts[2])
	if err != nil || user == "" {
		return identity{}, false
	}
	return identity{call: call, user: user, expires: time.Unix(expiry, 0)}, true
}

// password is the REST convention: base64(HMAC-SHA1(secret, username)).
func password(secret, username string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// authKey is the long-term credential key MD5(username ":" realm ":" password).
func authKey(username, realm, pass string) []byte {
	sum := md5.Sum([]byte(username + ":" + realm + ":" + pass))
	return sum[:]
}

// Credentials returns a username and password for one user in one call, valid
// for ttl but never longer than Config.MaxTTL. Allocations made with them end
// when they expire, so ttl must cover the call unless Config.CallLive tells that it goes on; Revoke ends them sooner.
func (s *Server) Credentials(call, user string, ttl time.Duration) (username, pass string) {
	ttl = max(min(ttl, s.cfg.MaxTTL), time.Second)
	username = credentialUsername(call, user, s.cfg.Clock.Now().Add(ttl))
	return username, password(s.cfg.Secret, username)
}
