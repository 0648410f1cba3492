package transport

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/ringrift/rift/domain"
)

// ProbeRoutes returns the endpoints for load balancers and monitoring.
func ProbeRoutes() []Route {
	return []Route{
		plainRoute("/healthz", "probe.alive", func(h *Handler) http.Handler { return http.HandlerFunc(h.alive) }, Public(), About("answers as long as the process does")),
		plainRoute("/readyz", "probe.ready", func(h *Handler) http.Handler { return http.HandlerFunc(h.ready) }, Public(), About("answers ok while the node can serve, else 503")),
		plainRoute("/metrics", "probe.metrics", func(h *Handler) http.Handler { return h.meters.handler() }, About("counters for Prometheus")),
		plainRoute("/openapi.json", "probe.openapi", func(h *Handler) http.Handler { return http.HandlerFunc(h.openapi) }, About("this description")),
		plainRoute("/docs", "probe.docs", func(h *Handler) http.Handler { return http.HandlerFunc(h.docs) }, Public(), About("this description as a page for a browser, without anything from elsewhere")),
	}
}

func plainRoute(path, name string, plain func(*Handler) http.Handler, options ...Option) Route {
	r := Route{Method: http.MethodGet, Path: path, Name: name, Kind: Plain, plain: plain}
	r.Group = "probes"
	for _, option := range options {
		option(&r)
	}
	return r
}

func (h *Handler) alive(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = jsonContent
	if h.config.Instance != "" {
		w.Header()[headerInstance] = []string{h.config.Instance}
	}
	_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
}

// ready answers load balancers: it fails only if the node failed, not if it
// is degraded.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	health, err := h.backend.Health(r.Context())
	if err == nil && health.Status == StateFailed {
		reason := "a part of the node failed"
		for _, check := range health.Checks {
			if check.State == StateFailed {
				reason = check.Name + ": " + check.Reason
				break
			}
		}
		err = domain.Errorf(domain.Unavailable, "%s", reason)
	}
	select {
	case <-h.closing:
		err = domain.Errorf(domain.Unavailable, "the node is stopping")
	default:
	}
	if err == nil && health.CatchUp != nil {
		writeCatchUp(w, *health.CatchUp)
		return
	}
	if err != nil {
		exchangeOf(r.Context()).writeProblem(w, err)
		return
	}
	w.Header()["Content-Type"] = jsonContent
	_, _ = fmt.Fprintf(w, "{\"status\":%q,\"position\":%d}\n", health.Status, health.Position)
}

// writeCatchUp answers 503 with the progress of the node, readable by
// people and by scripts that wait for it.
func writeCatchUp(w http.ResponseWriter, c CatchUp) {
	body, err := json.Marshal(struct {
		Status string      `json:"status"`
		Code   domain.Code `json:"code"`
		Detail string      `json:"detail"`
		CatchUp
	}{"catching_up", domain.Unavailable, c.Unavailable().Error(), c})
	if err != nil {
		body = []byte(`{"status":"catching_up","code":"unavailable"}`)
	}
	w.Header()["Content-Type"] = jsonContent
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write(append(body, '\n')) // the caller may be gone
}
