package app

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"parley/chat"
	"parley/internal/config"
	"parley/internal/sqldb"
	"parley/payments"
	"parley/safety"
	"parley/wire"
)

// askLimits reads the limits of what users ask of each other.
func askLimits(cfg config.Payments) payments.AskLimits {
	return payments.AskLimits{
		OpenPerPair: cfg.AskOpen, PerDay: cfg.AskDaily, AfterDecline: cfg.AskAgainAfter, RemindEvery: cfg.RemindEvery, Reporters: cfg.AskReporters,
	}
}

// payRelations tells payments who has let whom in (payments.Relations).
type payRelations struct {
	chat   *chat.Service
	blocks *safety.Blocks
}

// Met implements payments.Relations.
func (r payRelations) Met(tx *sqldb.Tx, payer, payee string) (bool, error) {
	return r.chat.WelcomesTx(tx, wire.UserID(payer), wire.UserID(payee))
}

// Blocked implements payments.Relations.
func (r payRelations) Blocked(tx *sqldb.Tx, by, user string) (bool, error) {
	return r.blocks.BlockedTx(tx, by, user)
}

// chatBlocks tells conversations who keeps whom away (chat.Blocks).
type chatBlocks struct{ blocks *safety.Blocks }

// Blocked implements chat.Blocks.
func (b chatBlocks) Blocked(tx *sqldb.Tx, by, u wire.UserID) (bool, error) {
	return b.blocks.BlockedTx(tx, string(by), string(u))
}

// callRelations says who may ring whom (signaling.Relations).
type callRelations struct {
	chat     *chat.Service
	payments *payments.Service
	blocks   *safety.Blocks
}

// Related implements signaling.Relations: b has not blocked a, and has let a in
// or has a part in a payment with a.
func (r callRelations) Related(ctx context.Context, a, b wire.UserID) (bool, error) {
	blocked, err := r.blocks.Blocked(ctx, string(b), string(a))
	if err != nil || blocked {
		return false, err
	}
	met, err := r.chat.Welcomes(ctx, b, a)
	if met || err != nil {
		return met, err
	}
	return r.payments.MayRing(ctx, string(a), string(b))
}

// openLink leads a person who opens a payment link to the app's page for it.
func openLink(page string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := url.QueryEscape(r.PathValue("link"))
		target := page + id
		if strings.Contains(page, "{link}") {
			target = strings.ReplaceAll(page, "{link}", id)
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, target, http.StatusFound)
	})
}
