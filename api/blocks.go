package api

import (
	"context"
	"fmt"

	"parley/safety"
	"parley/wire"
)

// blockRules maps what the lists of blocked people refuse to problems.
var blockRules = []Rule{
	{Is: safety.ErrBlockSelf, Code: "invalid_params", Status: 422, Title: "Invalid parameters"},
	{Is: safety.ErrBlockLimit, Code: "block_limit", Status: 422, Title: "Too many people are blocked"},
}

type blockIn struct {
	User wire.UserID `json:"user" minLength:"1" maxLength:"64" doc:"whom"`
}

type blocksIn struct {
	Cursor string `json:"cursor,omitempty" maxLength:"64" doc:"next of the page before"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"500" doc:"100 if left out"`
}

type blocksOut struct {
	Items []safety.Block `json:"items"`
	Next  string         `json:"next" doc:"cursor of the next page; empty on the last"`
}

// blockOperations are about whom a person does not want to hear from.
func blockOperations(b *safety.Blocks) []Operation {
	const scope = "users"
	return []Operation{
		Op(Row{Name: "users.block", Method: "PUT", Path: "/v1/blocks/{user}", Scope: scope, Summary: "Block a person",
			Description: "From now on this person can send you no request to pay, start no conversation with you, and not ring you. They are not told: they hear what a stranger hears. Blocking again changes nothing."},
			func(ctx context.Context, c wire.Caller, in blockIn) (safety.Block, error) {
				if err := blocker(c, in.User); err != nil {
					return safety.Block{}, err
				}
				return b.Block(ctx, string(c.User), string(in.User))
			}),
		Op(Row{Name: "users.unblock", Method: "DELETE", Path: "/v1/blocks/{user}", Scope: scope, Summary: "Let a person in again"},
			func(ctx context.Context, c wire.Caller, in blockIn) (None, error) {
				if err := blocker(c, in.User); err != nil {
					return None{}, err
				}
				return None{}, b.Unblock(ctx, string(c.User), string(in.User))
			}),
		Op(Row{Name: "users.blocks", Method: "GET", Path: "/v1/blocks", Scope: scope, Summary: "Whom you have blocked"},
			func(ctx context.Context, c wire.Caller, in blocksIn) (blocksOut, error) {
				if err := blocker(c, c.User); err != nil {
					return blocksOut{}, err
				}
				items, next, err := b.List(ctx, string(c.User), in.Cursor, in.Limit)
				return blocksOut{Items: orEmpty(items), Next: next}, err
			}),
	}
}

// blocker makes sure that somebody is asking, and names somebody.
func blocker(c wire.Caller, other wire.UserID) error {
	if c.User == "" {
		return fieldProblem("user", "a list of blocked people belongs to a person: use a user token, or name whom the server key acts for")
	}
	if err := wire.CheckUser(string(other)); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrID, err)
	}
	return nil
}
