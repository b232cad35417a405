package app

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"parley/identity"
	"parley/internal/sqldb"
)

// ready answers 200 when the node takes traffic: its database answers and it does not drain.
func (p *parts) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	switch {
	case p.draining.Load():
		http.Error(w, "draining", http.StatusServiceUnavailable)
	case p.db.View(ctx, func(tx *sqldb.Tx) error { var one int; return tx.QueryRow("SELECT 1").Scan(&one) }) != nil:
		http.Error(w, "database unavailable", http.StatusServiceUnavailable)
	default:
		_, _ = w.Write([]byte("ready\n")) // the prober may have gone
	}
}

// serveWords answers the list that verification words are taken from.
func serveWords(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	_ = json.NewEncoder(w).Encode(identity.WordList()) // the client may have gone
}

// withOrigins lets pages of the listed origins call REST from a browser (CORS).
func withOrigins(next http.Handler, origins []string) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin != "" && slices.Contains(origins, origin) {
			h := w.Header()
			h.Add("Vary", "Origin")
			h.Set("Access-Control-Allow-Origin", origin)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Traceparent")
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
