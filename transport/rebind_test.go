package transport_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ringrift/rift/transport"
)

// A page of another site whose name was made to mean this machine gets nothing from
// a node that serves the loopback without tokens.
func TestOnlyNamesOfTheLoopbackAreServedThere(t *testing.T) {
	_, h := server(t, transport.Config{})
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST.:8770": 200, "node.localhost": 200, "127.0.0.1:8770": 200, "[::1]:8770": 200, "::1": 200, "127.3.2.1": 200,
		"evil.example": 403, "evil.example:8770": 403, "10.0.0.7:8770": 403, "localhost.evil.example": 403, "": 403,
	} {
		for local, guarded := range map[string]bool{"127.0.0.1": true, "10.0.0.7": false} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/work/status", nil)
			r.Host = host
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(local), Port: 8770}))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if wanted := want; (guarded && w.Code != wanted) || (!guarded && w.Code != http.StatusOK) {
				t.Errorf("host %q over %s: want %d, found %d %s", host, local, wanted, w.Code, w.Body)
			}
		}
	}
}
