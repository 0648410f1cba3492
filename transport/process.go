package transport

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/ringrift/rift/domain"
)

// Caller identifies the caller of a call that the process answers itself.
type Caller struct {
	ID     string // of the call: the caller's Idempotency-Key, or generated here
	Actor  string // the caller; empty when the request named none
	Key    string // what its requests are counted under: the token, or the address
	Header http.Header
}

// Serve returns the route of a POST that the process answers without
// running a command. It cannot be run dry.
func Serve[Q, R any](path, name string, serve func(ctx context.Context, b Backend, caller Caller, q Q) (R, error), options ...Option) Route {
	r := Route{
		Method: http.MethodPost, Path: path, Name: name, Kind: Command, served: true,
		request: reflect.TypeFor[Q](), answer: reflect.TypeFor[R](), shape: shapeOf(reflect.TypeFor[Q]()),
		newInput: func() any { return new(Q) },
		value:    func(pointer any) any { return *pointer.(*Q) },
	}
	r.command = func(ctx context.Context, b Backend, x *exchange) (reply, error) {
		if x.call.Dry {
			return reply{}, domain.Faulty("request", []domain.Fault{{Field: "dry_run", Reason: "want none: this is no command"}})
		}
		answer, err := serve(ctx, b, Caller{ID: x.call.ID, Actor: x.call.Actor, Key: x.caller(), Header: x.request.Header}, x.input.(Q))
		return reply{extra: answer}, err
	}
	return r.with(options)
}

// Raw returns the route of an endpoint that reads its request and writes
// its answer itself. An error is answered as a problem if nothing was
// written yet. P is the struct of its parameters, for the API description.
func Raw[P any](method, path, name string, serve func(b Backend, caller Caller, w http.ResponseWriter, r *http.Request) error, options ...Option) Route {
	r := Route{Method: method, Path: path, Name: name, Kind: Plain, counts: true, request: reflect.TypeFor[P]()}
	r.plain = func(h *Handler) http.Handler {
		meter := h.meters.of(&Route{Name: name})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := exchangeOf(r.Context())
			caller, err := x.rawCaller()
			if err == nil {
				err = serve(h.backend, caller, w, r)
			}
			var code domain.Code
			if err != nil {
				code = CodeOf(err)
				x.writeProblem(w, err)
			}
			meter.seen(code, time.Since(x.start))
		})
	}
	return r.with(options)
}

// rawCaller reads the Caller from the request headers.
func (x *exchange) rawCaller() (Caller, error) {
	var faults []domain.Fault
	name := func(key string) string {
		text := x.request.Header.Get(key)
		if fault, bad := badName(key, text); text != "" && bad {
			faults = append(faults, fault)
		}
		return text
	}
	id, claimed := name(headerCommandID), name(headerActor)
	if domain.NodeCommand(id) {
		faults = append(faults, domain.Fault{Field: headerCommandID, Reason: "want no id that the node gives to commands of its own"})
	}
	if err := domain.Faulty("request", faults); err != nil {
		return Caller{}, err
	}
	actor, err := x.handler.guard.actor(x.token, claimed)
	return Caller{ID: id, Actor: actor, Key: x.caller(), Header: x.request.Header}, err
}

// Waits marks a route whose requests mostly wait. Many of them are served
// at once, and they are counted separately from other requests.
func Waits() Option { return func(r *Route) { r.waits = true } }

// Large allows bodies up to the limit for exchanges between nodes.
func Large() Option { return func(r *Route) { r.large = true } }

// Lender is a Backend with parts that areas look up by type.
type Lender interface{ Lent() []any }

// LentBy returns the part of type T that a process provides to its
// endpoints.
func LentBy[T any](b Backend) (T, error) {
	if lender, ok := b.(Lender); ok {
		for _, part := range lender.Lent() {
			if found, ok := part.(T); ok {
				return found, nil
			}
		}
	}
	var none T
	return none, domain.Errorf(domain.Unavailable, "this node was started without %s", aboutPart(reflect.TypeFor[T]()))
}

// aboutPart returns the name of a part of a process, derived from the
// package of its type.
func aboutPart(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	path := t.PkgPath()
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}
