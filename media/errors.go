package media

import "errors"

// What the SFU refuses. Every error that leaves it wraps one of these.
var (
	// ErrRoomFull says that the room has Config.MaxParticipants people in it.
	ErrRoomFull = errors.New("the room is full")
	// ErrOffer says that the SDP offer cannot be answered; the wrapped text says
	// what the client has to change, and quotes nothing of the offer.
	ErrOffer = errors.New("the offer cannot be used")
	// ErrUnknownRoom says that nobody is in such a room on this node.
	ErrUnknownRoom = errors.New("no such room on this node")
	// ErrUnknownParticipant says that no such user and device is in the room.
	ErrUnknownParticipant = errors.New("no such participant in the room")
	// ErrPromptQueue says that Config.MaxPrompts prompts already play or wait in the room.
	ErrPromptQueue = errors.New("too many prompts wait in the room")
	// ErrPrompt says that a prompt has no frames or one that is too long for a packet.
	ErrPrompt = errors.New("the prompt cannot be played")
	// ErrClosed says that Run has ended.
	ErrClosed = errors.New("the media server has stopped")
)
