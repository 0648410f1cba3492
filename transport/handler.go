package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/kit/endpoint"
	kithttp "github.com/go-kit/kit/transport/http"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// Handler serves a table of routes over HTTP.
type Handler struct {
	backend Backend
	config  Config
	guard   *guard
	mux     *http.ServeMux
	paths   *http.ServeMux // every path without its method, to distinguish 405 from 404
	allowed map[string][]string
	routes  []Route
	meters  *meters
	callers *callers
	strikes *strikes
	budgets *budgets

	connections *connections
	turns       turns
	memory      streamMemory
	frames      frames
	foreign     *http.CrossOriginProtection

	describe sync.Once
	document []byte
	problem  error
	page     sync.Once
	shown    []byte // the page of /docs
	unshown  error

	closing   chan struct{}
	closeOnce sync.Once

	boot     string // makes request ids unique across starts
	requests atomic.Uint64
}

// NewHandler mounts the routes of areas and registers their gauges. It
// returns an error for routes that contradict each other.
func NewHandler(backend Backend, config Config, areas ...Area) (*Handler, error) {
	config = config.filled()
	h := &Handler{
		backend: backend, config: config, guard: newGuard(config.Tokens), mux: http.NewServeMux(), paths: http.NewServeMux(),
		allowed: map[string][]string{}, routes: RoutesOf(areas), callers: newCallers(config.Rate), strikes: newStrikes(),
		budgets: newBudgets(config), turns: newTurns(), memory: newStreamMemory(config.Bytes/4, config.Streams),
		frames:  frames{most: int(min(config.Bytes/4/keptFrames, 64<<10))},
		foreign: http.NewCrossOriginProtection(), closing: make(chan struct{}),
		boot: strconv.FormatInt(time.Now().UnixNano(), 36),
	}
	if err := checkTable(h.routes); err != nil {
		return nil, err
	}
	var err error
	if h.meters, err = newMeters(config.Registry); err != nil {
		return nil, err
	}
	if h.connections, err = newConnections(config.Connections, config.Registry); err != nil {
		return nil, err
	}
	if err := h.budgets.register(config.Registry); err != nil {
		return nil, err
	}
	for _, area := range areas {
		if area.Gauges == nil {
			continue
		}
		if err := config.Registry.Register(area.Gauges(backend, config.Now)); err != nil {
			return nil, domain.Errorf(domain.Internal, "metrics: %w", err)
		}
	}
	for i := range h.routes {
		h.mount(&h.routes[i])
	}
	h.mux.Handle("/", http.HandlerFunc(h.unmatched))
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.guard.open() && isRebound(r) {
		(&exchange{handler: h, request: r, start: time.Now()}).writeProblem(w, domain.Errorf(domain.Forbidden,
			"host %q: want localhost or an address of the loopback, where this node serves without tokens; a page of another site may have made its name mean this machine", clip(r.Host)))
		return
	}
	h.mux.ServeHTTP(w, r)
}

// isRebound reports whether a request came over the loopback with the name of
// another host. A browser sends such requests for a page whose site changed
// its DNS entry to a loopback address (DNS rebinding).
func isRebound(r *http.Request) bool {
	local, known := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !known || !local.IP.IsLoopback() {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return !ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

// CloseStreams ends all event streams and refuses new ones. Commands then do not wait for
// a leader any more. A server that shuts down waits for every request, and a stream would
// not end otherwise.
func (h *Handler) CloseStreams() { h.closeOnce.Do(func() { close(h.closing) }) }

// Server returns an HTTP server of the handler with timeouts against slow
// or silent clients. Its connections are limited where it serves the
// listener from Listen.
func (h *Handler) Server() *http.Server {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: h.readTimeout(),
		// Streams extend their own write deadline with every write.
		WriteTimeout: h.writeTimeout(),
		IdleTimeout:  2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ConnContext: withConnection, ConnState: connectionChanged,
	}
	server.RegisterOnShutdown(h.CloseStreams)
	return server
}

func (h *Handler) mount(route *Route) {
	methods := []string{route.Method}
	if route.Method == http.MethodGet {
		methods = append(methods, http.MethodHead)
	}
	if h.allowed[route.Path] == nil {
		h.paths.Handle(route.Path, http.NotFoundHandler())
	}
	h.allowed[route.Path] = append(h.allowed[route.Path], methods...)
	h.mux.Handle(route.Method+" "+route.Path, h.serve(route))
}

// serve returns the go-kit server of a route: the middleware around one
// endpoint.
func (h *Handler) serve(route *Route) http.Handler {
	var plain http.Handler
	if route.plain != nil {
		plain = route.plain(h)
	}
	meter := h.meters.of(route)
	chain := endpoint.Chain(h.traced(route), h.observed(route, meter), h.recovered, h.authorized(route), h.limited(route))
	return kithttp.NewServer(
		chain(h.core(route)),
		func(ctx context.Context, _ *http.Request) (any, error) { return exchangeOf(ctx), nil },
		func(ctx context.Context, w http.ResponseWriter, _ any) error {
			x := exchangeOf(ctx)
			defer x.leave()
			switch {
			case plain != nil:
				plain.ServeHTTP(w, x.request.WithContext(ctx))
			case route.Kind == Stream:
				return h.run(w, x)
			default:
				x.write(w)
			}
			return nil
		},
		kithttp.ServerBefore(func(ctx context.Context, r *http.Request) context.Context {
			x := &exchange{handler: h, route: route, request: r, start: time.Now()}
			return context.WithValue(ctx, exchangeKey{}, x)
		}),
		kithttp.ServerErrorEncoder(func(ctx context.Context, err error, w http.ResponseWriter) {
			x := exchangeOf(ctx)
			defer x.leave()
			x.writeProblem(w, err)
		}),
		kithttp.ServerErrorHandler(ignored{}),
	)
}

// ignored discards errors, which the middleware has logged already.
type ignored struct{}

func (ignored) Handle(context.Context, error) {}

// core returns the endpoint of a route: bind, run, encode. The answer is
// written only after all of it was encoded.
func (h *Handler) core(route *Route) endpoint.Endpoint {
	return func(ctx context.Context, request any) (any, error) {
		x := request.(*exchange)
		if route.plain != nil {
			return x, nil
		}
		if err := h.foreignCluster(x); err != nil {
			return nil, err
		}
		if err := x.bind(); err != nil {
			return nil, err
		}
		ctx, cancel := h.timed(ctx, x)
		defer cancel()
		switch route.Kind {
		case Command:
			return x, h.explainTimeout(x, h.answerCommand(ctx, x))
		case Question:
			return x, h.explainTimeout(x, h.answerQuestion(ctx, x))
		case Report:
			return x, h.explainTimeout(x, h.answerReport(ctx, x))
		default:
			var err error
			x.chosen, err = x.input.(StreamQuery).choose()
			return x, err
		}
	}
}

func (h *Handler) answerCommand(ctx context.Context, x *exchange) error {
	if h.elsewhere(x) {
		return h.forwardCommand(ctx, x)
	}
	err := h.answerHere(ctx, x)
	if notLeading(err) && h.forwards(x) {
		return h.forwardCommand(ctx, x)
	}
	if leader := (*eventlog.NotLeader)(nil); errors.As(err, &leader) && x.forwarded() {
		// Where no leader is known the code is unavailable, which the node
		// that forwarded the command would pass on.
		return &LeaderHint{Leader: leader.Leader.Address, Term: leader.Leader.Term}
	}
	return err
}

// answerHere runs the command of a request on this node.
func (h *Handler) answerHere(ctx context.Context, x *exchange) error {
	var err error
	x.reply, err = x.route.command(ctx, h.backend, x)
	if notLeading(err) && x.route.own != nil && !x.call.Dry {
		err = x.route.own(ctx, h.backend, x.input)
	}
	x.position, x.known = x.reply.result.Position, true
	if err != nil && (!x.call.Dry || !isRefusal(err)) {
		return err
	}
	x.status, x.body = http.StatusOK, buffers.Get().(*[]byte)
	*x.body, err = x.appendReceipt((*x.body)[:0], err)
	return err
}

// isRefusal reports whether err is a refusal of a command, as opposed to a
// failure of the node to answer.
func isRefusal(err error) bool {
	return !slices.Contains([]domain.Code{domain.Internal, domain.Corrupt, domain.Unavailable, domain.Timeout, domain.NotLeader}, CodeOf(err))
}

func (h *Handler) answerQuestion(ctx context.Context, x *exchange) error {
	past := x.at.Set || h.config.Past
	if x.route.timely != nil || past {
		now, err := h.moment(ctx, x.at)
		if err != nil {
			return err
		}
		if x.route.timely != nil {
			x.input = x.route.timely(x.input, now)
		}
		if past {
			x.moment = now
		}
	}
	if done, err := h.strongly(ctx, x); done || err != nil {
		return err
	}
	err := h.backend.View(ctx, x.at, x.after, func(v projections.View) error {
		x.position, x.known = v.Position(), true
		if x.route.timely == nil && x.unchanged() {
			x.status = http.StatusNotModified
			return nil
		}
		answer, err := x.route.question(v, x.input)
		if err != nil {
			return err
		}
		return x.encode(answer)
	})
	if err != nil || x.body == nil {
		return err
	}
	return x.holdAnswer()
}

// moment returns the time that a query is about: that of the past state it
// names, or now.
func (h *Handler) moment(ctx context.Context, at At) (time.Time, error) {
	switch {
	case !at.Set:
		return h.config.Now(), nil
	case !at.Time.IsZero():
		return at.Time, nil
	}
	for e, err := range h.backend.Log().ReadAll(ctx, max(at.Position, 1), eventlog.Forward, eventlog.Filter{}) {
		return e.Time, err
	}
	return h.config.Now(), nil
}

func (h *Handler) answerReport(ctx context.Context, x *exchange) error {
	if done, err := h.strongly(ctx, x); done || err != nil {
		return err
	}
	if err := h.applied(ctx, x); err != nil {
		return err
	}
	answer, position, err := x.route.report(ctx, h.backend, x.input)
	if err != nil {
		return err
	}
	x.position, x.known = position, true
	if err := x.encode(answer); err != nil {
		return err
	}
	return x.holdAnswer()
}

// applied waits until the node has applied the position the caller named.
func (h *Handler) applied(ctx context.Context, x *exchange) error {
	if x.after == 0 {
		return nil
	}
	return h.backend.View(ctx, At{}, x.after, func(projections.View) error { return nil })
}

// explainTimeout makes a timeout name the limit that was exceeded. Other errors are
// returned unchanged.
func (h *Handler) explainTimeout(x *exchange, err error) error {
	if err == nil || CodeOf(err) != domain.Timeout {
		return err
	}
	if x.after > 0 {
		return domain.Errorf(domain.Timeout, "position %d: want it applied within %s: %w", x.after, h.config.AfterWait, err)
	}
	var coded *domain.Error
	if errors.As(err, &coded) {
		return err
	}
	return domain.Errorf(domain.Timeout, "want an answer within %s: %w", x.limit(), err)
}

// unchanged reports whether the caller already holds this answer.
func (x *exchange) unchanged() bool {
	held := x.request.Header.Get("If-None-Match")
	if held == "" {
		return false
	}
	mine := etag(x.position)
	for one := range strings.SplitSeq(held, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == mine {
			return true
		}
	}
	return false
}

func etag(position domain.Position) string {
	var quoted [22]byte
	return string(append(strconv.AppendUint(append(quoted[:0], '"'), uint64(position), 10), '"'))
}
