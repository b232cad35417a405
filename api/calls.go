package api

import (
	"context"
	"encoding/json"
	"net/http"

	"parley/signaling"
	"parley/wire"
)

// The inputs of the operations on calls.
type (
	callStartIn struct {
		Conversation wire.ConversationID `json:"conversation,omitempty" maxLength:"80" doc:"rings its other members, or those of them that to names" example:"conv_1"`
		To           []wire.UserID       `json:"to,omitempty" maxItems:"12" doc:"whom to ring; may be left out with conversation or payment"`
		Payment      wire.PaymentID      `json:"payment,omitempty" maxLength:"80" doc:"what the call is about; rings its other party"`
		RelayOnly    bool                `json:"relay_only,omitempty" doc:"pass on relayed candidates only, so that neither end learns the other's address"`
		Media        string              `json:"media,omitempty" enum:"p2p,sfu" doc:"sfu asks for the media server even between two people, who then are not end-to-end encrypted"`
		ClientID     string              `json:"client_id" minLength:"1" maxLength:"64" doc:"made once per intended call; a resend answers the same call"`
	}
	callIn struct {
		Call wire.CallID `json:"call" maxLength:"80" doc:"the call's id"`
	}
	callAnswerIn struct {
		Call wire.CallID `json:"call" maxLength:"80"`
		SDP  string      `json:"sdp,omitempty" maxLength:"65536" doc:"the device's offer, which travels to the caller with the news of the answer"`
	}
	callDeclineIn struct {
		Call wire.CallID `json:"call" maxLength:"80"`
		Note string      `json:"note,omitempty" maxLength:"200" doc:"why, for your own eyes: the other end learns no reason"`
	}
	callInviteIn struct {
		Call wire.CallID `json:"call" maxLength:"80"`
		User wire.UserID `json:"user" minLength:"1" maxLength:"64"`
	}
	callJoinIn struct {
		Call wire.CallID `json:"call" maxLength:"80"`
		SDP  string      `json:"sdp" minLength:"1" maxLength:"65536" doc:"the device's one offer, with an audio section to send and several to receive"`
	}
	callSignalTo struct {
		User   wire.UserID   `json:"user" minLength:"1" maxLength:"64"`
		Device wire.DeviceID `json:"device,omitempty" maxLength:"80"`
	}
	callSignalIn struct {
		Call wire.CallID          `json:"call" maxLength:"80"`
		To   *callSignalTo        `json:"to,omitempty" doc:"the receiver; may be left out between two"`
		Kind signaling.SignalKind `json:"kind" enum:"offer,answer,candidate,commit,nonce,reveal,restart"`
		Data json.RawMessage      `json:"data,omitempty" doc:"at most 64 KiB; {sdp} for offer and answer, an RTCIceCandidateInit for candidate"`
	}
	callConnectedIn struct {
		Call  wire.CallID     `json:"call" maxLength:"80"`
		Route signaling.Route `json:"route" enum:"direct,relay,sfu" doc:"how the media travels"`
	}
	callVerifyIn struct {
		Call       wire.CallID `json:"call" maxLength:"80"`
		Transcript string      `json:"transcript" pattern:"^[0-9a-f]{64}$" doc:"hex SHA-256 that the words were made of"`
		Result     string      `json:"result" enum:"match,differ" doc:"what the person said about the words"`
	}
	callReportIn struct {
		Call  wire.CallID `json:"call" maxLength:"80"`
		Alive bool        `json:"alive" doc:"media arrived within the last five seconds"`
		RTTMS float64     `json:"rtt_ms,omitempty" minimum:"0" maximum:"600000" doc:"round trip time"`
		Loss  float64     `json:"loss,omitempty" minimum:"0" maximum:"1" doc:"share of packets lost"`
	}
	callMuteIn struct {
		Call  wire.CallID `json:"call" maxLength:"80"`
		Muted bool        `json:"muted"`
	}
	callPromptIn struct {
		Call   wire.CallID `json:"call" maxLength:"80"`
		Prompt string      `json:"prompt" minLength:"1" maxLength:"64" doc:"name of the prompt"`
	}
	callListIn struct {
		Conversation wire.ConversationID `json:"conversation,omitempty" maxLength:"80"`
		Payment      wire.PaymentID      `json:"payment,omitempty" maxLength:"80"`
		Active       bool                `json:"active,omitempty" doc:"only calls that have not ended"`
		Cursor       wire.CallID         `json:"cursor,omitempty" maxLength:"80" doc:"next of the page before"`
		Limit        int                 `json:"limit,omitempty" minimum:"1" maximum:"200" doc:"50 if left out"`
	}
)

// The outputs of the operations on calls.
type (
	callOut struct {
		Call signaling.CallView `json:"call"`
	}
	callsOut struct {
		Items []signaling.CallView `json:"items"`
		Next  wire.CallID          `json:"next" doc:"cursor of the next page; empty on the last"`
	}
	callCredentialsOut struct {
		ICEServers []signaling.ICEServer `json:"ice_servers"`
	}
)

// callsRules say what leaves when a call cannot do what was asked.
var callsRules = []Rule{
	{Is: signaling.ErrUnknown, Code: "call_unknown", Status: http.StatusNotFound, Title: "Unknown call"},
	{Is: signaling.ErrTaken, Code: "call_taken", Status: http.StatusConflict, Title: "Answered elsewhere"},
	{Is: signaling.ErrNotParticipant, Code: "not_participant", Status: http.StatusForbidden, Title: "Not in the call"},
	{Is: signaling.ErrState, Code: "call_state", Status: http.StatusConflict, Title: "Not possible in this state of the call"},
	{Is: signaling.ErrNoRelation, Code: "no_relation", Status: http.StatusForbidden, Title: "No relation"},
	{Is: signaling.ErrNotParty, Code: "not_party", Status: http.StatusForbidden, Title: "Not a party to the payment"},
	{Is: signaling.ErrPaymentUnknown, Code: "payment_unknown", Status: http.StatusNotFound, Title: "Unknown payment"},
	{Is: signaling.ErrConversationUnknown, Code: "conversation_unknown", Status: http.StatusNotFound, Title: "Unknown conversation"},
	{Is: signaling.ErrSignal, Code: "signal_invalid", Status: http.StatusUnprocessableEntity, Title: "Data does not fit the signal"},
	{Is: signaling.ErrInput, Code: "invalid_params", Status: http.StatusUnprocessableEntity, Title: "Invalid parameters"},
	{Is: signaling.ErrDevice, Code: "device_required", Status: http.StatusUnprocessableEntity, Title: "Device required"},
	{Is: signaling.ErrNoSFU, Code: "sfu_unavailable", Status: http.StatusServiceUnavailable, Title: "No media server", RetryAfter: 5},
	{Is: signaling.ErrForbidden, Code: "forbidden", Status: http.StatusForbidden, Title: "Not allowed"},
}

func callsOperations(s *signaling.Service) []Operation {
	ops := callLifeOperations(s)
	ops = append(ops, callMediaOperations(s)...)
	return append(ops, callReadOperations(s)...)
}

// callLifeOperations ring, answer and end calls.
func callLifeOperations(s *signaling.Service) []Operation {
	return []Operation{
		Op(callRow("start", "", "Ring somebody",
			"Rings all devices of each callee for 45 s. When both call at once there is one call: the later start answers with the one that was there, already answered by this device."),
			func(ctx context.Context, c wire.Caller, in callStartIn) (signaling.Joining, error) {
				return s.Start(ctx, c, signaling.Start{Conversation: in.Conversation, To: in.To, Payment: in.Payment,
					RelayOnly: in.RelayOnly, SFU: in.Media == "sfu", ClientID: in.ClientID})
			}),
		Op(callRow("ringing", "/{call}/ringing", "Say that this device rings", "The caller hears it as call.ringing."),
			func(ctx context.Context, c wire.Caller, in callIn) (callOut, error) {
				return oneCall(s.Ringing(ctx, c, in.Call))
			}),
		Op(callRow("answer", "/{call}/answer", "Take the call on this device",
			"Exactly one device wins; the others get call_taken and call.ended with answered_elsewhere. Also joins a group call that is under way."),
			func(ctx context.Context, c wire.Caller, in callAnswerIn) (signaling.Joining, error) {
				return s.Answer(ctx, c, in.Call, in.SDP)
			}),
		Op(callRow("decline", "/{call}/decline", "Refuse the call on all devices", ""),
			func(ctx context.Context, c wire.Caller, in callDeclineIn) (callOut, error) {
				return oneCall(s.Decline(ctx, c, in.Call, in.Note))
			}),
		Op(callRow("cancel", "/{call}/cancel", "Stop ringing", "Hangs up when an answer was faster."),
			func(ctx context.Context, c wire.Caller, in callIn) (callOut, error) {
				return oneCall(s.Cancel(ctx, c, in.Call))
			}),
		Op(callRow("hangup", "/{call}/hangup", "Leave the call",
			"Ends a direct call, and a group call when the last one leaves. A server key that acts for nobody ends the call for all."),
			func(ctx context.Context, c wire.Caller, in callIn) (callOut, error) {
				return oneCall(s.Hangup(ctx, c, in.Call))
			}),
		Op(callRow("leave", "/{call}/leave", "Leave a group call", "The same as calls.hangup."),
			func(ctx context.Context, c wire.Caller, in callIn) (callOut, error) {
				return oneCall(s.Hangup(ctx, c, in.Call))
			}),
		Op(callRow("invite", "/{call}/invite", "Ring one more person",
			"Between two people the media moves to the media server without hanging up: on call.updated with media sfu, join and then drop the direct connection."),
			func(ctx context.Context, c wire.Caller, in callInviteIn) (callOut, error) {
				return oneCall(s.Invite(ctx, c, in.Call, in.User))
			}),
	}
}

// callMediaOperations are about sound and what proves whose it is.
func callMediaOperations(s *signaling.Service) []Operation {
	prompt := callRow("prompt", "/{call}/prompt", "Play a prompt to everybody in the call", "")
	prompt.Roles = []wire.Role{wire.RoleServer}
	return []Operation{
		Op(callRow("join", "/{call}/join", "Join the call's room at the media server", ""),
			func(ctx context.Context, c wire.Caller, in callJoinIn) (signaling.Joined, error) {
				return s.Join(ctx, c, in.Call, in.SDP)
			}),
		Op(callRow("signal", "/{call}/signal", "Pass a message to another device in the call",
			"Descriptions, candidates and the parts of the verification words; stored and logged nowhere."),
			func(ctx context.Context, c wire.Caller, in callSignalIn) (None, error) {
				sig := signaling.Signal{Call: in.Call, Kind: in.Kind, Data: in.Data}
				if in.To != nil {
					sig.To = signaling.Endpoint{User: in.To.User, Device: in.To.Device}
				}
				return None{}, s.Signal(ctx, c, sig)
			}),
		Op(callRow("connected", "/{call}/connected", "Say that media flows", "Again after a change of route."),
			func(ctx context.Context, c wire.Caller, in callConnectedIn) (callOut, error) {
				return oneCall(s.Connected(ctx, c, in.Call, in.Route))
			}),
		Op(callRow("verify", "/{call}/verify", "Say whether the verification words match",
			"Both ends must name the same transcript and say match. Anything else ends the call and puts its payment into review."),
			func(ctx context.Context, c wire.Caller, in callVerifyIn) (callOut, error) {
				return oneCall(s.Verify(ctx, c, in.Call, in.Transcript, in.Result == "match"))
			}),
		Op(callRow("report", "/{call}/report", "Report that the media is alive",
			"Every two seconds. After ten without one the participant is reconnecting, twenty later gone."),
			func(ctx context.Context, c wire.Caller, in callReportIn) (None, error) {
				return None{}, s.Report(ctx, c, in.Call, signaling.Report{Alive: in.Alive, RTTMS: in.RTTMS, Loss: in.Loss})
			}),
		Op(callRow("mute", "/{call}/mute", "Say that the microphone is off or on", ""),
			func(ctx context.Context, c wire.Caller, in callMuteIn) (callOut, error) {
				return oneCall(s.Mute(ctx, c, in.Call, in.Muted))
			}),
		Op(callRow("credentials", "/{call}/credentials", "Fresh relay credentials", "They are bound to the call and the caller, and last minutes."),
			func(ctx context.Context, c wire.Caller, in callIn) (callCredentialsOut, error) {
				servers, err := s.Credentials(ctx, c, in.Call)
				return callCredentialsOut{servers}, err
			}),
		Op(prompt, func(ctx context.Context, c wire.Caller, in callPromptIn) (None, error) {
			return None{}, s.Prompt(ctx, c, in.Call, in.Prompt)
		}),
	}
}

// callReadOperations change nothing.
func callReadOperations(s *signaling.Service) []Operation {
	readers := []wire.Role{wire.RoleUser, wire.RoleServer, wire.RoleOperator}
	return []Operation{
		Op(Row{Name: "calls.get", Method: http.MethodGet, Path: "/v1/calls/{call}", Scope: "calls", Roles: readers,
			Summary: "One call", Description: "For its participants, and for server keys and operators."},
			func(ctx context.Context, c wire.Caller, in callIn) (signaling.CallView, error) {
				return s.Get(ctx, c, in.Call)
			}),
		Op(Row{Name: "calls.list", Method: http.MethodGet, Path: "/v1/calls", Scope: "calls", Roles: readers,
			Summary: "Your calls, the newest first", Description: "All calls for server keys and operators that act for nobody."},
			func(ctx context.Context, c wire.Caller, in callListIn) (callsOut, error) {
				items, next, err := s.List(ctx, c, signaling.Filter{Conversation: in.Conversation, Payment: in.Payment,
					Active: in.Active, Before: in.Cursor, Limit: in.Limit})
				return callsOut{items, next}, err
			}),
	}
}

// callRow is a write on calls: POST under /v1/calls.
func callRow(name, path, summary, description string) Row {
	return Row{Name: "calls." + name, Method: http.MethodPost, Path: "/v1/calls" + path, Scope: "calls",
		Summary: summary, Description: description}
}

func oneCall(v signaling.CallView, err error) (callOut, error) { return callOut{v}, err }
