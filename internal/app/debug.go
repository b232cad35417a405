package app

import (
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"strings"
)

// debugHandler looks into the running process, for whoever holds a server key:
// Go's profiles under /debug/pprof/, and POST /debug/collect, which collects
// garbage and returns free memory to the system, so that what is resident
// afterwards is what the node needs.
func (p *parts) debugHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /debug/collect", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		id, err := p.verifier.Identify(r.Context(), bearer, "")
		if err != nil || !id.Caller.IsServer() {
			http.Error(w, "a server key is needed", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
