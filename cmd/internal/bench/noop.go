package bench

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

// idle is behind a server that does nothing: it takes every command and has
// nothing to show.
type idle struct{ transport.Backend }

func (idle) Do(context.Context, transport.Call) (commands.Result, error) {
	return commands.Result{Position: 1}, nil
}

func (idle) View(_ context.Context, _ transport.At, _ domain.Position, f func(projections.View) error) error {
	return f(nothing{})
}

type nothing struct{ projections.View }

func (nothing) Position() domain.Position { return 1 }

// idleRoutes are the no-op requests: the body that the nodes of the cells are
// sent, and a question without an answer.
func idleRoutes() []transport.Route {
	return []transport.Route{
		transport.Post[workcmd.AddTask]("/work/add"),
		transport.Get("/noop", "noop", func(projections.View, projections.NoQuestion) (struct{}, error) { return struct{}{}, nil }),
	}
}

// barePath is where the middleware and the binding are left out too.
const barePath = "/bare"

// Noop serves requests that do nothing, in the way a node serves: the same
// server, middleware, binding and log of requests. What it leaves out is what a
// node is for. Under barePath it answers with nothing but net/http: what a request
// costs that does nothing at all.
func Noop(ctx context.Context, listener net.Listener, logger *slog.Logger) error {
	handler, err := transport.NewHandler(idle{}, transport.Config{Logger: logger, Registry: prometheus.NewRegistry()}, transport.Area{Routes: idleRoutes()})
	if err != nil {
		return err
	}
	server := handler.Server()
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == barePath {
			bare(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func bare(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}\n")) // fails only when the client has hung up
}
