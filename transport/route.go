package transport

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Kind is the kind of a route.
type Kind string

// The kinds of routes.
const (
	Command  Kind = "command" // POST; has a command id and can be run dry
	Question Kind = "query"   // GET from the read models; ?at= and ?after=
	Report   Kind = "report"  // GET of something the process knows; ?after=
	Stream   Kind = "stream"  // GET that does not end by itself
	Plain    Kind = "plain"   // GET for load balancers and monitoring: probes, metrics
)

// Route is one row of the table: an endpoint, its name, and what the
// handler, the description, the listing and the client need to know about
// it.
type Route struct {
	Method string
	Path   string // a pattern of http.ServeMux without the method
	Name   string // the command type, or the name of the query: "work.claim"
	Group  string // "work"
	Kind   Kind
	About  string

	public  bool          // served without a token
	role    Role          // see By
	vital   bool          // see Vital
	scans   bool          // see Scans
	served  bool          // see Serve
	waits   bool          // see Waits
	large   bool          // see Large
	polls   time.Duration // see Polls
	past    bool          // ?at= is allowed although the route is not a query of the read models
	request reflect.Type  // of the body, or of the struct of parameters
	answer  reflect.Type  // nil: only the members of every answer
	shape   *shape
	params  *params
	fault   error // what is wrong with the route, returned by NewHandler

	// Exactly one of these is set.
	command  func(ctx context.Context, b Backend, x *exchange) (reply, error)
	question func(v projections.View, input any) (any, error)
	report   func(ctx context.Context, b Backend, input any) (any, domain.Position, error)
	plain    func(h *Handler) http.Handler
	counts   bool // plain counts what it serves

	newInput func() any // a pointer to decode into
	value    func(pointer any) any
	timely   func(input any, now time.Time) any // for queries that depend on the current time
	then     func(ctx context.Context, b Backend, command any, result commands.Result) error
	own      func(ctx context.Context, b Backend, command any) error // see OwnNode
	nodes    func(input any, token *shown) (any, error)              // see OfNodes
}

// Option configures a route.
type Option func(*Route)

// OwnNode marks a command that concerns the node which receives it and so
// is not forwarded to the leader. alone is what the node does if it cannot
// record the command because it is not the leader.
func OwnNode[C domain.Command](alone func(ctx context.Context, b Backend, command C) error) Option {
	return func(r *Route) {
		r.own = func(ctx context.Context, b Backend, command any) error { return alone(ctx, b, command.(C)) }
	}
}

// About sets the one-sentence description of the route.
func About(text string) Option { return func(r *Route) { r.About = text } }

// In sets the group of the route. The default is the first part of its
// path.
func In(group string) Option { return func(r *Route) { r.Group = group } }

// Public serves the route without a token.
func Public() Option { return func(r *Route) { r.public = true } }

// Then sets a function that the process runs after a command was accepted,
// but not on a dry run.
func Then[C domain.Command](f func(ctx context.Context, b Backend, command C, result commands.Result) error) Option {
	return func(r *Route) {
		r.then = func(ctx context.Context, b Backend, command any, result commands.Result) error {
			return f(ctx, b, command.(C), result)
		}
	}
}

// Post returns the route of a command: its type names the route, its struct
// is the body.
func Post[C domain.Command](path string, options ...Option) Route {
	var zero C
	r := Route{
		Method: http.MethodPost, Path: path, Name: zero.CommandType(), Kind: Command,
		request: reflect.TypeFor[C](), shape: shapeOf(reflect.TypeFor[C]()),
		newInput: func() any { return new(C) },
		value:    func(pointer any) any { return *pointer.(*C) },
	}
	r.command = doCommand
	if len(wildcards(path)) > 0 {
		r.params, r.fault = pathParamsOf(r.request)
	}
	return r.with(options)
}

// Get returns the route of a query over the read models.
func Get[Q, R any](path, name string, q projections.Query[Q, R], options ...Option) Route {
	r := inquiry[Q, R](path, name, Question)
	var zero Q
	if _, timely := any(zero).(interface{ At(time.Time) Q }); timely {
		r.timely = func(input any, now time.Time) any { return input.(interface{ At(time.Time) Q }).At(now) }
	}
	r.question = func(v projections.View, input any) (any, error) {
		answer, err := q(v, input.(Q))
		return answer, err
	}
	return r.with(options)
}

// Tell returns the route of a report: a query that the process answers from
// something other than the read models.
func Tell[Q, R any](path, name string, tell func(ctx context.Context, b Backend, q Q) (R, domain.Position, error), options ...Option) Route {
	r := inquiry[Q, R](path, name, Report)
	r.report = func(ctx context.Context, b Backend, input any) (any, domain.Position, error) {
		return tell(ctx, b, input.(Q))
	}
	return r.with(options)
}

func inquiry[Q, R any](path, name string, kind Kind) Route {
	r := Route{
		Method: http.MethodGet, Path: path, Name: name, Kind: kind,
		request: reflect.TypeFor[Q](), answer: reflect.TypeFor[R](),
		newInput: func() any { return new(Q) },
		value:    func(pointer any) any { return *pointer.(*Q) },
	}
	r.params, r.fault = paramsOf(r.request)
	return r
}

func (r Route) with(options []Option) Route {
	r.Group, _, _ = strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
	for _, option := range options {
		option(&r)
	}
	return r
}

// decode decodes a body into a new input of the route.
func (r *Route) decode(body []byte) (any, error) {
	pointer := r.newInput()
	if err := decodeBody(body, r.shape, pointer); err != nil {
		return nil, err
	}
	return r.value(pointer), nil
}

// Request returns a new, empty input of the route: its command or struct of
// parameters, or nil when it takes nothing.
func (r Route) Request() any {
	if r.request == nil {
		return nil
	}
	return reflect.Zero(r.request).Interface()
}

// wildcards lists the names in a path pattern.
func wildcards(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") {
			names = append(names, strings.Trim(part, "{}."))
		}
	}
	return names
}

// checkTable returns an error for routes that contradict each other or
// themselves.
func checkTable(routes []Route) error {
	var faults []domain.Fault
	seen := map[string]bool{}
	names := map[string]string{}
	for _, r := range routes {
		row := r.Method + " " + r.Path
		fault := func(format string, args ...any) {
			faults = append(faults, domain.Fault{Field: row, Reason: fmt.Sprintf(format, args...)})
		}
		if seen[row] {
			fault("stands twice")
		}
		seen[row] = true
		if r.fault != nil {
			fault("%s", r.fault)
		}
		if r.Name != "" {
			if other, taken := names[r.Name]; taken {
				fault("the name %s already belongs to %s", r.Name, other)
			}
			names[r.Name] = row
		}
		if r.role != "" && (!r.role.known() || r.role == RoleWorker || r.public) {
			fault("the role %s cannot be what a route needs", r.role)
		}
		if r.params != nil {
			var bound []string
			for _, field := range r.params.fields {
				if field.inPath {
					bound = append(bound, field.name)
				} else if field.name == "at" || field.name == "after" {
					fault("the parameter %s means the same for every query", field.name)
				}
			}
			slices.Sort(bound)
			held := wildcards(r.Path)
			slices.Sort(held)
			if !slices.Equal(bound, held) {
				fault("the path holds %v, the struct %v", held, bound)
			}
		}
	}
	return domain.Faulty("routes", faults)
}

// Listing formats a table the way `rift routes` prints it.
func Listing(routes []Route) string {
	sorted := slices.Clone(routes)
	slices.SortFunc(sorted, func(a, b Route) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 1, 2, ' ', 0)
	for _, r := range sorted {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Method, r.Path, r.Kind, r.Name, strings.Join(r.inputs(), " "))
	}
	if err := w.Flush(); err != nil {
		return err.Error() // writing to a strings.Builder cannot fail
	}
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// inputs lists the parameters of a route, optional ones with a question
// mark.
func (r *Route) inputs() []string {
	var names []string
	if r.params != nil && r.shape == nil {
		for _, field := range r.params.fields {
			name := field.name
			if !field.required {
				name += "?"
			}
			names = append(names, name)
		}
		return names
	}
	if r.shape != nil && r.shape.kind == object {
		names = make([]string, len(r.shape.fields))
		for name, field := range r.shape.fields {
			if field.optional {
				name += "?"
			}
			names[field.index] = name
		}
	}
	return names
}

// commandOf returns the command in a route's decoded input.
func commandOf(input any) (domain.Command, error) {
	command, ok := input.(domain.Command)
	if !ok {
		return nil, domain.Errorf(domain.Internal, "want a command, found %T", input)
	}
	return command, nil
}

// doCommand runs the command of a request.
func doCommand(ctx context.Context, b Backend, x *exchange) (reply, error) {
	command, err := commandOf(x.input)
	if err != nil {
		return reply{}, err
	}
	call := x.call
	call.Command = command
	result, err := b.Do(ctx, call)
	if err == nil && !call.Dry && x.route.then != nil {
		err = x.route.then(ctx, b, x.input, result)
	}
	return reply{result: result}, err
}

// reply is the outcome of a command.
type reply struct {
	result commands.Result
	extra  any // members in addition to those of the result
}
