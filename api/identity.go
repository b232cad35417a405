package api

import (
	"context"
	"encoding/json"

	"parley/identity"
	"parley/payments"
	"parley/wire"
)

// identityRules turn the errors of users, passkeys, confirmations and evidence into problems.
var identityRules = []Rule{
	{Is: identity.ErrUserUnknown, Code: "user_unknown", Status: 404, Title: "No such user"},
	{Is: identity.ErrUsersOnly, Code: "users_only", Status: 403, Title: "Only for people"},
	{Is: identity.ErrServersOnly, Code: "servers_only", Status: 403, Title: "Only for server keys"},
	{Is: identity.ErrNameInvalid, Code: "name_invalid", Status: 422, Title: "The name cannot be shown"},
	{Is: identity.ErrCeremonyExpired, Code: "registration_expired", Status: 409, Title: "The registration is over"},
	{Is: identity.ErrCredential, Code: "credential_invalid", Status: 422, Title: "The passkey was not accepted"},
	{Is: identity.ErrPasskeyLimit, Code: "passkey_limit", Status: 409, Title: "Too many passkeys"},
	{Is: identity.ErrPaymentUnknown, Code: "payment_unknown", Status: 404, Title: "No such payment"},
	{Is: identity.ErrNotParty, Code: "not_party", Status: 403, Title: "Not a party of the payment"},
	{Is: identity.ErrVersionStale, Code: "payment_version_stale", Status: 409, Title: "The payment has changed"},
	{Is: identity.ErrPaymentState, Code: "payment_state", Status: 409, Title: "Not in this state"},
	{Is: identity.ErrConfirmExpired, Code: "confirmation_expired", Status: 409, Title: "The time to confirm is over"},
	{Is: identity.ErrCallNotActive, Code: "call_not_active", Status: 409, Title: "Payer and payee are not in a call"},
	{Is: identity.ErrMediaNotAlive, Code: "media_not_alive", Status: 409, Title: "One side is not heard", RetryAfter: 1},
	{Is: identity.ErrNotEndToEnd, Code: "call_not_e2e", Status: 409, Title: "The call is not end to end"},
	{Is: identity.ErrTranscriptMismatch, Code: "transcript_mismatch", Status: 409, Title: "The call's keys are not those compared"},
	{Is: identity.ErrAssertionInvalid, Code: "assertion_invalid", Status: 403, Title: "The passkey's answer is not valid"},
	{Is: identity.ErrPasskeyUnknown, Code: "passkey_unknown", Status: 403, Title: "No such passkey"},
	{Is: identity.ErrHoldExpired, Code: "hold_expired", Status: 409, Title: "The hold has expired"},
	{Is: identity.ErrKeyMissing, Code: "idempotency_key_missing", Status: 400, Title: "Idempotency key missing"},
	{Is: identity.ErrKeyReused, Code: "idempotency_key_reused", Status: 422, Title: "Idempotency key used for something else"},
	{Is: identity.ErrLedgerUnavailable, Code: "ledger_unavailable", Status: 503, Title: "The ledger cannot be reached", RetryAfter: 1, Hide: true},
}

type userIn struct {
	User wire.UserID `json:"user" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9._@:-]+$" doc:"the app's id of the person" example:"buyer"`
}

type userPutIn struct {
	User         wire.UserID `json:"user" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9._@:-]+$" doc:"the app's id of the person" example:"seller"`
	Name         string      `json:"name" minLength:"1" maxLength:"100" doc:"as the person calls themselves" example:"Vera"`
	VerifiedName *string     `json:"verified_name,omitempty" maxLength:"100" doc:"checked by you, for example from an identity document; it is what payments and calls show; empty takes it away" example:"V. Seller"`
	Country      *string     `json:"country,omitempty" maxLength:"2" pattern:"^([A-Z]{2})?$" doc:"ISO 3166-1 alpha-2" example:"AT"`
	Restricted   *bool       `json:"restricted,omitempty" doc:"whether the account is restricted"`
}

type registerFinishIn struct {
	Session    string          `json:"session" maxLength:"64" pattern:"^reg_[a-z0-9]+$" doc:"from passkeys.register_begin"`
	Credential json.RawMessage `json:"credential" doc:"the new PublicKeyCredential as its toJSON() gives it"`
}

type passkeyIn struct {
	Passkey string `json:"passkey" maxLength:"64" pattern:"^pk_[a-z0-9]+$" doc:"id of the passkey"`
}

type passkeysOut struct {
	Items []identity.Passkey `json:"items"`
	Next  string             `json:"next" doc:"always empty: a person has few passkeys"`
}

type confirmOpenIn struct {
	Payment wire.PaymentID `json:"payment" maxLength:"64" pattern:"^pay_[a-z0-9]+$"`
	Version int64          `json:"version,omitempty" minimum:"0" doc:"the version that is on the screen; refused when the payment has changed since; 0 or absent takes the current one"`
}

type confirmSubmitIn struct {
	Payment    wire.PaymentID  `json:"payment" maxLength:"64" pattern:"^pay_[a-z0-9]+$"`
	Version    int64           `json:"version" minimum:"1"`
	Transcript string          `json:"transcript" minLength:"64" maxLength:"64" pattern:"^[0-9a-f]{64}$" doc:"as this device computed it from the call's keys; in a call through the server, as confirmations.open gave it"`
	SAS        string          `json:"sas" enum:"match,none" doc:"match: the person heard the same words as on the screen; none: the call goes through the server and has no words that prove anything"`
	Nonce      string          `json:"nonce" minLength:"43" maxLength:"43" pattern:"^[A-Za-z0-9_-]{43}$" doc:"from confirmations.open"`
	Assertion  json.RawMessage `json:"assertion" doc:"the PublicKeyCredential as its toJSON() gives it"`
	Text       string          `json:"text,omitempty" maxLength:"500" doc:"what the screen said, if not the text of confirmations.open; it is kept as evidence"`
	Locale     string          `json:"locale,omitempty" maxLength:"35" doc:"language of text (BCP 47)"`
}

type paymentIDIn struct {
	Payment wire.PaymentID `json:"payment" maxLength:"64" pattern:"^pay_[a-z0-9]+$"`
}

// identityOperations are the rows of users, passkeys, confirmations and evidence.
func identityOperations(s *identity.Service) []Operation {
	return append(userOperations(s), append(passkeyOperations(s.Passkeys), confirmOperations(s)...)...)
}

func userOperations(s *identity.Service) []Operation {
	return []Operation{
		Op(Row{Name: "users.me", Method: "GET", Path: "/v1/users/me", Scope: "users", Summary: "The caller's own user"},
			func(ctx context.Context, c wire.Caller, _ None) (identity.User, error) { return s.Directory.Me(ctx, c) }),
		Op(Row{Name: "users.get", Method: "GET", Path: "/v1/users/{user}", Scope: "users", Summary: "A user by id"},
			func(ctx context.Context, c wire.Caller, in userIn) (identity.User, error) {
				return s.Directory.Find(ctx, c, in.User)
			}),
		Op(Row{Name: "users.put", Method: "PUT", Path: "/v1/users/{user}", Scope: "users", Roles: []wire.Role{wire.RoleServer},
			Summary: "Make or change a user", Description: "Users are also made when they first show a token. Only here can a verified name be set."},
			func(ctx context.Context, c wire.Caller, in userPutIn) (identity.User, error) {
				return s.Directory.Put(ctx, c, in.User, identity.UserChange{
					Name: in.Name, VerifiedName: in.VerifiedName, Country: in.Country, Restricted: in.Restricted,
				})
			}),
	}
}

func passkeyOperations(p *identity.Passkeys) []Operation {
	people := []wire.Role{wire.RoleUser}
	return []Operation{
		Op(Row{Name: "passkeys.register_begin", Method: "POST", Path: "/v1/passkeys/register/begin", Scope: "passkeys", Roles: people,
			Summary: "Begin to register a passkey on this device"},
			func(ctx context.Context, c wire.Caller, _ None) (identity.Registration, error) {
				return p.RegisterBegin(ctx, c)
			}),
		Op(Row{Name: "passkeys.register_finish", Method: "POST", Path: "/v1/passkeys/register/finish", Scope: "passkeys", Roles: people,
			Summary: "Store the passkey that the device made", Description: "The session is good for one try and for five minutes."},
			func(ctx context.Context, c wire.Caller, in registerFinishIn) (identity.Passkey, error) {
				return p.RegisterFinish(ctx, c, in.Session, in.Credential)
			}),
		Op(Row{Name: "passkeys.list", Method: "GET", Path: "/v1/passkeys", Scope: "passkeys", Summary: "The caller's passkeys"},
			func(ctx context.Context, c wire.Caller, _ None) (passkeysOut, error) {
				items, err := p.List(ctx, c)
				return passkeysOut{Items: items}, err
			}),
		Op(Row{Name: "passkeys.remove", Method: "DELETE", Path: "/v1/passkeys/{passkey}", Scope: "passkeys", Roles: people,
			Summary: "Remove one of the caller's passkeys"},
			func(ctx context.Context, c wire.Caller, in passkeyIn) (None, error) {
				return None{}, p.Remove(ctx, c, in.Passkey)
			}),
	}
}

func confirmOperations(s *identity.Service) []Operation {
	people := []wire.Role{wire.RoleUser}
	return []Operation{
		Op(Row{Name: "confirmations.open", Method: "POST", Path: "/v1/payments/{payment}/confirmations/open", Scope: "payments", Roles: people,
			Summary: "Begin to confirm a payment while in the call",
			Description: "Both parties open and submit, in any order, within 120 s of the first open at this version. " +
				"Opening again answers the same nonce until the deadline passes or the call's keys change. Both parties' devices hear `confirmation.opened`."},
			func(ctx context.Context, c wire.Caller, in confirmOpenIn) (identity.Opened, error) {
				return s.Confirmations.Open(ctx, c, in.Payment, in.Version)
			}),
		Op(Row{Name: "confirmations.submit", Method: "POST", Path: "/v1/payments/{payment}/confirmations/submit", Scope: "payments", Roles: people, Money: true,
			Summary: "Confirm a payment with a passkey",
			Description: "Answers the payment: `confirming` after the first party, `captured` after the second. " +
				"Sending the same nonce again gives the same answer and does nothing more."},
			func(ctx context.Context, c wire.Caller, in confirmSubmitIn) (payments.Payment, error) {
				return confirmSubmit(ctx, s.Confirmations, c, in)
			}),
		Op(Row{Name: "evidence.get", Method: "GET", Path: "/v1/payments/{payment}/evidence", Scope: "payments",
			Roles:   []wire.Role{wire.RoleUser, wire.RoleServer, wire.RoleOperator},
			Summary: "What proves the payment", Description: "For its parties, server keys and operators."},
			func(ctx context.Context, c wire.Caller, in paymentIDIn) (identity.Bundle, error) {
				return s.Evidence.Bundle(ctx, c, in.Payment)
			}),
	}
}

func confirmSubmit(ctx context.Context, s *identity.Confirmations, c wire.Caller, in confirmSubmitIn) (p payments.Payment, err error) {
	answer, err := s.Submit(ctx, c, identity.Submission{
		Payment: in.Payment, Version: in.Version, Transcript: in.Transcript, SAS: in.SAS, Nonce: in.Nonce,
		Assertion: in.Assertion, Idempotency: c.IdempotencyKey, Text: in.Text, Locale: in.Locale,
	})
	if err != nil {
		return payments.Payment{}, err
	}
	err = json.Unmarshal(answer, &p)
	return p, err
}
