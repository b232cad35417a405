// Package web carries the built web parts inside the binary: the demo app, the
// console and the browser SDK. `make build` fills web/dist before the binary is built.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// Built reports whether the web parts were built into this binary.
func Built() bool {
	_, err := fs.Stat(dist, "dist/demo/index.html")
	return err == nil
}

// Handler serves the web parts under /demo/, /console/ and /sdk/. Files whose
// names carry a hash are cached for ever, pages never.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // "dist" is a valid path
	}
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Built() {
			http.Error(w, "The web parts are not in this binary; build it with make build.", http.StatusNotFound)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Permissions-Policy", "microphone=(self), publickey-credentials-get=(self), publickey-credentials-create=(self)")
		if strings.HasPrefix(path.Base(path.Dir(r.URL.Path)), "assets") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "no-cache")
			h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob: mediastream:; img-src 'self' data:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; script-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'")
		}
		server.ServeHTTP(w, r)
	})
}
