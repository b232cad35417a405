package hub

import (
	"errors"
	"fmt"
	"time"

	"parley/wire"
)

// Reasons why sessions end, as counted by parley_hub_closes_total.
const (
	reasonClient       = "client"        // it closed, or its connection broke
	reasonOpenTimeout  = "open_timeout"  // no session.open in time
	reasonTokenRefused = "token_refused" // 4001
	reasonTokenExpired = "token_expired" // 4002
	reasonRevoked      = "revoked"       // 4003
	reasonSlowBytes    = "slow_bytes"    // 4008: too much queued
	reasonSlowAge      = "slow_age"      // 4008: queued for too long
	reasonSlowTotal    = "slow_total"    // 4008: the node has too much queued and this session more than its share
	reasonReplaced     = "replaced"      // 4009
	reasonDrain        = "drain"         // 4010
	reasonRate         = "rate"          // 4029
	reasonSilent       = "silent"        // no frame for two and a half heartbeats
	reasonOversize     = "oversize"      // 1009
	reasonProtocol     = "protocol"      // 1002
	reasonNotText      = "not_text"      // 1003 or 1007: not in the subprotocol's encoding
	reasonBusy         = "busy"          // 1013: the session could not be opened now
	reasonLimit        = "limit"         // 1013: the user has too many sessions
	reasonStop         = "stop"          // 1001: the node stops without draining
)

var reasons = []string{
	reasonClient, reasonOpenTimeout, reasonTokenRefused, reasonTokenExpired, reasonRevoked, reasonSlowBytes, reasonSlowAge,
	reasonSlowTotal, reasonReplaced, reasonDrain, reasonRate, reasonSilent, reasonOversize, reasonProtocol, reasonNotText, reasonBusy,
	reasonLimit, reasonStop,
}

// WebSocket close codes (RFC 6455, section 7.4.1) that the hub sends besides wire's own.
const (
	closeGoingAway = 1001
	closeProtocol  = 1002
	closeNotText   = 1003
	closeNoStatus  = 1005 // never sent: the frame said nothing
	closeNotUTF8   = 1007
	closePolicy    = 1008
	closeOversize  = 1009
	closeTryLater  = 1013
)

// An ending says how a session ends.
type ending struct {
	code   int
	text   string // of the close frame, at most 123 bytes
	reason string // for the counters
	drop   bool   // what is queued is not sent before the close frame
	finish bool   // requests under way are answered before the close frame
}

func slow(reason string) ending {
	return ending{code: wire.CloseSlow, text: "slow consumer: resume", reason: reason, drop: true}
}

func retryIn(d time.Duration) string { return fmt.Sprintf("retry_ms=%d", d.Milliseconds()) }

var (
	endOpenTimeout = ending{code: closePolicy, text: "session.open expected", reason: reasonOpenTimeout}
	endReplaced    = ending{code: wire.CloseReplaced, text: "the same device opened another session", reason: reasonReplaced}
	endRevoked     = ending{code: wire.CloseRevoked, text: "signed out", reason: reasonRevoked}
	endExpired     = ending{code: wire.CloseTokenExpired, text: "token expired", reason: reasonTokenExpired}
	endRefused     = ending{code: wire.CloseTokenRefused, text: "token refused", reason: reasonTokenRefused}
	endRate        = ending{code: wire.CloseRate, text: "too many requests", reason: reasonRate}
	endSilent      = ending{code: closeGoingAway, text: "no heartbeat", reason: reasonSilent}
	endProtocol    = ending{code: closeProtocol, text: "WebSocket protocol violated", reason: reasonProtocol}
	endOversize    = ending{code: closeOversize, text: "message too large", reason: reasonOversize}
	endNotText     = ending{code: closeNotText, text: "text messages only", reason: reasonNotText}
	endNotBinary   = ending{code: closeNotText, text: "binary messages only", reason: reasonNotText}
	endNotUTF8     = ending{code: closeNotUTF8, text: "not UTF-8", reason: reasonNotText}
	endLimit       = ending{code: closeTryLater, text: "too many sessions of this user", reason: reasonLimit}
	endStop        = ending{code: closeGoingAway, text: "node stops", reason: reasonStop}
)

// endingOfFrame says how a session ends whose client sent what is no message.
func endingOfFrame(err error) ending {
	if errors.Is(err, errOversize) {
		return endOversize
	}
	return endProtocol
}
