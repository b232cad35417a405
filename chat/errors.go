package chat

import "errors"

// What goes wrong. The texts are meant for callers of the API.
var (
	// ErrUnknown covers conversations that do not exist and those the caller is not in, alike.
	ErrUnknown = errors.New("there is no such conversation among yours")
	// ErrMessageUnknown says that the conversation has no message of that id.
	ErrMessageUnknown = errors.New("the conversation has no such message")
	// ErrMemberUnknown says that the person to remove is not a member.
	ErrMemberUnknown = errors.New("this person is not in the conversation")
	// ErrUnreachable says that there is no such person for the caller: one who blocked them answers like one who does not exist.
	ErrUnreachable = errors.New("there is no such user, or not one you can reach")
	// ErrNotOwner says that only owners may do this.
	ErrNotOwner = errors.New("only an owner of the conversation may do this")
	// ErrNotAuthor says that a message belongs to someone else.
	ErrNotAuthor = errors.New("only its author may change a message")
	// ErrDeleted says that a deleted message cannot be edited.
	ErrDeleted = errors.New("the message is deleted")
	// ErrKind says that conversations of this kind cannot be changed so.
	ErrKind = errors.New("conversations of this kind cannot be changed so")
	// ErrClientID says that a client id came with other content before.
	ErrClientID = errors.New("this client_id was used for something else before; make a new one for new content")
	// ErrSensitive says that a text holds what looks like a payment card number.
	ErrSensitive = errors.New("the text holds what looks like a payment card number; it was not stored")
	// ErrInput says that an input is out of its limits; it is wrapped with which one.
	ErrInput = errors.New("invalid input")
	// ErrFull says that the conversation has as many members as it may.
	ErrFull = errors.New("a conversation has at most 256 members")
)
