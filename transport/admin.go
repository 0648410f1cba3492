package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	electionview "github.com/ringrift/rift/projections/election"
	findingsview "github.com/ringrift/rift/projections/findings"
)

// AdminRoutes is the administration of the node that answers.
func AdminRoutes() []Route {
	admin := In("admin")
	return []Route{
		Post[admincmd.RequestShutdown]("/admin/shutdown", Then(stopNode)),
		Post[admincmd.PauseKind]("/admin/pause"),
		Post[admincmd.ResumeKind]("/admin/resume"),
		Get("/admin/pauses", "admin.pauses", adminview.Pauses, About("the kinds of work that are held back, why, by whom and until when")),
		Tell("/status", "admin.status", tellStatus, admin, About("one page of what the node and the cluster do: work and nodes by state, pauses, back-pressure, leader, position, uptime")),
		Tell("/admin/health", "admin.health", func(ctx context.Context, b Backend, _ projections.NoQuestion) (Health, domain.Position, error) {
			health, err := b.Health(ctx)
			return health, health.Position, err
		}, About("how the parts of the node are, each ok, degraded or failed, with the reason")),
		Tell("/dead-letters", "admin.dead_letters", func(ctx context.Context, b Backend, _ projections.NoQuestion) (DeadLetters, domain.Position, error) {
			letters, err := b.DeadLetters(ctx)
			return letters, letters.Position, err
		}, admin, About("the events that a handler could not take")),
		Tell("/dead-letters/{id}", "admin.dead_letter", func(ctx context.Context, b Backend, q oneLetter) (LetterAnswer, domain.Position, error) {
			letter, err := b.DeadLetter(ctx, q.ID)
			return letter, letter.Position, err
		}, admin, About("one dead letter, with the event it is about")),
		Get("/dead-letters/history", "admin.letter_acts", adminview.LetterActs, admin, About("what was done about dead letters, newest first")),
		Post[admincmd.RetryLetter]("/dead-letters/{id}/retry", admin, Then(func(ctx context.Context, b Backend, c admincmd.RetryLetter, result commands.Result) error {
			return b.LetterDealtWith(ctx, c.ID, result.Position)
		})),
		Post[admincmd.DiscardLetter]("/dead-letters/{id}/discard", admin, Then(func(ctx context.Context, b Backend, c admincmd.DiscardLetter, result commands.Result) error {
			return b.LetterDealtWith(ctx, c.ID, result.Position)
		})),
		Tell("/projections", "admin.projections", func(ctx context.Context, b Backend, _ projections.NoQuestion) (Projections, domain.Position, error) {
			models, err := b.Projections(ctx)
			return models, models.Position, err
		}, admin, About("the read models: version, position, lag, and how far one is that is being built")),
		Post[admincmd.RebuildProjection]("/projections/{name}/rebuild", admin, Then(beginRebuild)),
		Get("/findings", "admin.findings", findingsview.Findings, admin, About("what is wrong, by first position: more than one leader, items stuck or lost, dead wiring and more")),
		Get("/election/history", "election.history", electionview.Leaders, About("who led when, the newest stretch first, the voters and the terms")),
	}
}

// oneLetter asks for a dead letter.
type oneLetter struct {
	ID string `path:"id"`
}

// rebuildPatience is how long an answer waits for a rebuild to begin.
const rebuildPatience = time.Second

// beginRebuild answers once the node has begun, so that whoever asks next how far
// it is finds it. A node that is far behind its log begins when it gets there.
func beginRebuild(ctx context.Context, b Backend, _ admincmd.RebuildProjection, result commands.Result) error {
	ctx, stop := context.WithTimeout(ctx, rebuildPatience)
	defer stop()
	err := b.View(ctx, At{}, result.Position, func(projections.View) error { return nil })
	if domain.CodeOf(err) == domain.Timeout {
		return nil
	}
	return err
}

// stopNode stops the process once the wish is on the log. The event knows what
// the caller left out. Told again, the wish is an old one: the node that it
// stopped is gone.
func stopNode(ctx context.Context, b Backend, _ admincmd.RequestShutdown, result commands.Result) error {
	if result.Duplicate {
		return nil
	}
	for _, e := range result.Events {
		if wish, ok := e.Event.(admin.ShutdownRequested); ok {
			return b.Shutdown(ctx, wish.Reason, wish.GraceSeconds.Duration())
		}
	}
	return domain.Errorf(domain.Internal, "admin.shutdown: want its event, found %d others", len(result.Events))
}

// ProbeRoutes is for the machines around a node.
func ProbeRoutes() []Route {
	return []Route{
		plainRoute("/healthz", "probe.alive", func(h *Handler) http.Handler { return http.HandlerFunc(h.alive) }, Public(), About("answers as long as the process does")),
		plainRoute("/readyz", "probe.ready", func(h *Handler) http.Handler { return http.HandlerFunc(h.ready) }, Public(), About("answers ok while the node can serve, else 503")),
		plainRoute("/metrics", "probe.metrics", func(h *Handler) http.Handler { return h.meters.handler() }, About("counters for Prometheus")),
		plainRoute("/openapi.json", "probe.openapi", func(h *Handler) http.Handler { return http.HandlerFunc(h.openapi) }, About("this description")),
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

// ready answers for a balancer: any trouble short of failure is the operator's.
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

// writeCatchUp answers 503 with how far the node is, for people and for scripts
// that wait for it.
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
	_, _ = w.Write(append(body, '\n')) // a caller that is gone wants no answer
}
