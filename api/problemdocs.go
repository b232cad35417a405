package api

// problemDocs explains each problem code on its page; every code that can
// leave has a text here.
var problemDocs = map[string]string{
	"operation_unknown":       "No operation has this name or path. The reference at /docs lists all of them.",
	"forbidden":               "The caller's role may not do this: some operations are for server keys or operators only.",
	"scope_missing":           "The token lists scopes and the one this operation needs is not among them. Mint a token with it.",
	"socket_only":             "This operation belongs to an open socket, for example typing, and has no meaning on REST.",
	"invalid_params":          "One or more parameters are missing, unknown or out of range; the errors list says which. Nothing was changed.",
	"unauthenticated":         "No usable token or key came with the request. Send Authorization: Bearer with a user token or a server key.",
	"token_expired":           "The token's time is over. Get a new one from your backend and retry.",
	"token_revoked":           "The token, its device or its user was signed out. Sign in again.",
	"body_too_large":          "The request body is over the limit of 256 KiB.",
	"database_unavailable":    "The database did not answer. Whether a write happened is unknown: retry with the same idempotency key or client id, which gives the same answer if it did.",
	"timeout":                 "The operation took longer than it may. Retry with the same idempotency key or client id.",
	"cancelled":               "The request was given up before it finished.",
	"internal":                "Something went wrong on our side. The log has the details under the request id.",
	"rate_limited":            "Too many requests. Wait for retry_after seconds.",
	"idempotency_key_missing": "Writes that move money need an Idempotency-Key header (or idempotency_key parameter on the socket): make it once per intended effect, store it before sending, repeat it on retries.",

	"sensitive_data":       "The text holds what looks like a payment card number (13 to 19 digits that pass the Luhn check). It was refused before it was stored or logged. Card data never belongs into a conversation.",
	"client_id_reused":     "This client id came with other content before. Make a new one for new content; repeat one only to resend the same.",
	"conversation_unknown": "There is no such conversation, or the caller is not (or no longer) in it; the answer is the same, so that nobody learns which conversations exist.",
	"message_unknown":      "The conversation has no message of this id.",
	"member_unknown":       "The person is not in the conversation.",
	"not_owner":            "Only owners of the conversation, or a server key, may do this.",
	"not_author":           "Only its author may edit or delete a message.",
	"message_deleted":      "The message is deleted; a deleted message cannot be edited.",
	"conversation_kind":    "Direct and personal conversations have fixed members and no title; this is for groups and payment conversations.",
	"conversation_full":    "A conversation has at most 256 members.",
}
