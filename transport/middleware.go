package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/go-kit/kit/endpoint"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/ringrift/rift/domain"
)

// traced adds a span per request, as a child of the caller's span if it
// sent one.
func (h *Handler) traced(route *Route) endpoint.Middleware {
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		if h.config.Tracer == nil {
			return next
		}
		attributes := trace.WithAttributes(
			attribute.String("http.request.method", route.Method), attribute.String("http.route", route.Path),
			attribute.String("rift.kind", string(route.Kind)))
		return func(ctx context.Context, request any) (any, error) {
			x := request.(*exchange)
			ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(x.request.Header))
			ctx, span := h.config.Tracer.Start(ctx, route.Name, attributes, trace.WithSpanKind(trace.SpanKindServer))
			defer span.End()
			response, err := next(ctx, request)
			span.SetAttributes(attribute.String("rift.request_id", x.requestID()))
			if x.known {
				// Positions stay below 2^63.
				span.SetAttributes(attribute.Int64("rift.position", int64(x.position)))
			}
			if x.call.ID != "" {
				span.SetAttributes(attribute.String("rift.command_id", x.call.ID))
			}
			if err != nil {
				span.SetAttributes(attribute.String("error.type", string(CodeOf(err))))
				span.SetStatus(codes.Error, err.Error())
			}
			return response, err
		}
	}
}

// observed counts and logs requests: a line per command, a line per request
// that failed on this side, and at debug level a line per query.
func (h *Handler) observed(route *Route, meter *meter) endpoint.Middleware {
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		return func(ctx context.Context, request any) (any, error) {
			x := request.(*exchange)
			h.meters.inFlight.Add(1)
			response, err := next(ctx, request)
			took := time.Since(x.start)
			h.meters.inFlight.Add(-1)
			var code domain.Code
			if err != nil {
				code = CodeOf(err)
			}
			if err != nil || !route.counts {
				meter.seen(code, took)
			}
			h.log(ctx, route, x, took, code, err)
			return response, err
		}
	}
}

func (h *Handler) log(ctx context.Context, route *Route, x *exchange, took time.Duration, code domain.Code, err error) {
	level := slog.LevelDebug
	switch {
	case code == domain.Internal || code == domain.Corrupt:
		level = slog.LevelError
	case code == domain.Unavailable || code == domain.Timeout:
		level = slog.LevelWarn
	case route.Kind == Command && !route.served:
		level = slog.LevelInfo
	}
	out := h.config.Logger.Handler()
	if !out.Enabled(ctx, level) {
		return
	}
	// Write to the handler directly: Logger would look up the source line
	// of each call, which this log does not use.
	line := slog.NewRecord(x.start.Add(took), level, string(route.Kind), 0)
	line.AddAttrs(slog.String("name", route.Name), slog.String("request_id", x.requestID()))
	if x.call.ID != "" {
		line.AddAttrs(slog.String("id", x.call.ID))
	}
	if x.call.Actor != "" {
		line.AddAttrs(slog.String("actor", x.call.Actor))
	}
	if events := x.reply.result.Events; len(events) > 0 {
		line.AddAttrs(slog.String("stream", string(events[0].Stream)), slog.Int("events", len(events)))
	}
	if x.known {
		line.AddAttrs(slog.Uint64("position", uint64(x.position)))
	}
	if x.reply.result.Duplicate {
		line.AddAttrs(slog.Bool("duplicate", true))
	}
	if x.call.Dry {
		line.AddAttrs(slog.Bool("dry_run", true))
	}
	line.AddAttrs(slog.Duration("took", took))
	if err != nil {
		line.AddAttrs(slog.String("code", string(code)), slog.String("error", err.Error()))
	}
	_ = out.Handle(ctx, line) // there is nowhere to report a failing log
}

// recovered turns a panic into an internal error and logs its stack.
func (h *Handler) recovered(next endpoint.Endpoint) endpoint.Endpoint {
	return func(ctx context.Context, request any) (response any, err error) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if abort, ok := cause.(error); ok && errors.Is(abort, http.ErrAbortHandler) {
				panic(cause) // http.ErrAbortHandler: net/http drops the connection
			}
			h.meters.panics.Inc()
			h.config.Logger.LogAttrs(ctx, slog.LevelError, "panic",
				slog.String("request_id", request.(*exchange).requestID()), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("panic: %v", cause)
		}()
		return next(ctx, request)
	}
}

// authorized lets a request through if its token allows the route and it
// does not come from a page of another site.
func (h *Handler) authorized(route *Route) endpoint.Middleware {
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		if route.public {
			return next
		}
		return func(ctx context.Context, request any) (any, error) {
			x := request.(*exchange)
			if route.Method == http.MethodPost {
				if err := h.foreign.Check(x.request); err != nil {
					return nil, domain.Errorf(domain.Forbidden, "want a request of this site or of no browser: %w", err)
				}
			}
			if !h.guard.open() {
				token, err := h.identified(ctx, x)
				if err != nil {
					return nil, err
				}
				x.token, x.from, x.call.Actor = token, token.key, token.name
				if err := route.may(token); err != nil {
					return nil, err
				}
			}
			return next(ctx, request)
		}
	}
}

// limited limits how many requests are served at once and how fast one
// caller may send them. Probes are exempt: a busy node must not look dead.
func (h *Handler) limited(route *Route) endpoint.Middleware {
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		if route.Kind == Plain && !route.waits || route.public {
			return next
		}
		return func(ctx context.Context, request any) (any, error) {
			x := request.(*exchange)
			if wait := h.callers.wait(x); wait > 0 {
				return nil, &Later{After: wait, Err: domain.Errorf(domain.TooMany, "want at most %g requests a second from one caller", h.config.Rate)}
			}
			if route.Kind == Stream {
				return next(ctx, request) // a stream takes its place when it starts
			}
			if route.Kind == Command {
				// Read the body before taking a place: a slow sender must
				// not occupy one.
				if err := x.readBody(); err != nil {
					return nil, err
				}
			}
			budget := h.budgets.of(route, x.request)
			if x.asksToWait() {
				budget = h.budgets.waits
			}
			if err := budget.enter(x.caller(), 1); err != nil {
				return nil, err
			}
			x.held.place = budget
			x.hold()
			ended := false
			defer func() {
				if !ended {
					x.leave() // on a panic that drops the connection
				}
			}()
			response, err := next(ctx, request)
			ended = true
			return response, err
		}
	}
}

// timed sets the time limit of a request. A query of the applied state does
// not wait for anything: it checks the clock while it reads, so no timer is
// started for it.
func (h *Handler) timed(ctx context.Context, x *exchange) (context.Context, context.CancelFunc) {
	limit := x.limit()
	switch {
	case x.route.Kind == Stream:
		return ctx, func() {}
	case x.after > 0 || x.strong:
		limit = min(limit, h.config.AfterWait)
	case x.route.Kind == Question && !x.at.Set:
		return deadlineContext{ctx, time.Now().Add(limit)}, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// deadlineContext is a context with a deadline but no timer: Err reports the
// deadline once it has passed, but Done is not closed by it.
type deadlineContext struct {
	context.Context
	at time.Time
}

// Deadline implements context.Context.
func (l deadlineContext) Deadline() (time.Time, bool) {
	if at, earlier := l.Context.Deadline(); earlier && at.Before(l.at) {
		return at, true
	}
	return l.at, true
}

// Err implements context.Context.
func (l deadlineContext) Err() error {
	if err := l.Context.Err(); err != nil {
		return err
	}
	if time.Now().After(l.at) {
		return context.DeadlineExceeded
	}
	return nil
}

// limit returns the time limit of the request.
func (x *exchange) limit() time.Duration {
	limit := x.handler.config.Timeout + x.waits()
	given := x.request.Header.Get(headerTimeout)
	if given == "" {
		return limit
	}
	if left, err := strconv.ParseFloat(given, 64); err == nil && left > 0 && left < limit.Seconds() {
		limit = time.Duration(left * float64(time.Second))
	}
	return limit
}

// callers holds a token bucket per caller, in two generations: when the
// young map is full it becomes the old one, and callers that were quiet
// since then are forgotten.
type callers struct {
	rate  rate.Limit
	burst int

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

const maxCallers = 4096

func newCallers(perSecond float64) *callers {
	if perSecond <= 0 {
		return nil
	}
	return &callers{rate: rate.Limit(perSecond), burst: max(1, int(perSecond)), young: map[string]*rate.Limiter{}}
}

// wait returns how long the caller of a request must wait, 0 for not at
// all.
func (c *callers) wait(x *exchange) time.Duration {
	if c == nil {
		return 0
	}
	reservation := c.bucket(x.caller()).Reserve()
	wait := reservation.Delay()
	if wait > 0 {
		reservation.Cancel()
	}
	return wait
}

func (c *callers) bucket(name string) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bucket, ok := c.young[name]; ok {
		return bucket
	}
	bucket, ok := c.old[name]
	if !ok {
		bucket = rate.NewLimiter(c.rate, c.burst)
	}
	if len(c.young) >= maxCallers {
		c.old, c.young = c.young, map[string]*rate.Limiter{}
	}
	c.young[name] = bucket
	return bucket
}
