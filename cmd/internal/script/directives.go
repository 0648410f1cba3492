package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// directives are the directives of every script.
var directives = map[string]func(*Env, context.Context, *datadriven.TestData) (string, error){
	"append":  (*Env).appendRaw,
	"command": (*Env).command,
	"tick":    (*Env).tick,
	"drain":   (*Env).drain,
	"outbox":  (*Env).outbox,
	"http":    (*Env).http,
	"dump":    (*Env).dump,
	"digest":  (*Env).digest,
	"crash":   (*Env).crashed,
	"load":    (*Env).load,
	"events":  (*Env).events,
}

// Names lists the directives.
func Names() []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(directives)), maps.Keys(ofCluster))
	slices.Sort(names)
	return names
}

// Run runs one directive and returns its output. An error is output too, so that a script
// can show failures.
func (env *Env) Run(ctx context.Context, d *datadriven.TestData) string {
	run, known := directives[d.Cmd]
	if !known {
		run, known = ofCluster[d.Cmd]
	}
	if !known {
		return fmt.Sprintf("error: no directive %q; there are %s\n", d.Cmd, strings.Join(Names(), ", "))
	}
	if err := env.to(d); err != nil {
		return describe(err)
	}
	out, err := run(env, ctx, d)
	if err != nil {
		out += describe(err)
	}
	if out == "" {
		return "ok\n"
	}
	return readable(out)
}

// describe returns an error as a script shows it: its code, and every fault on a line.
func describe(err error) string {
	var coded *domain.Error
	if errors.As(err, &coded) && len(coded.Faults) > 0 {
		var b strings.Builder
		fmt.Fprintf(&b, "error: %s: %s\n", coded.Code, coded.Msg)
		for _, fault := range coded.Faults {
			fmt.Fprintf(&b, "  %s: %s\n", fault.Field, fault.Reason)
		}
		return b.String()
	}
	return fmt.Sprintf("error: %s: %s\n", domain.CodeOf(err), err)
}

// appendRaw appends events as they are, without a decision, as a recording or an older
// rift may have left them. A version follows the type after a slash.
//
//	append [at=+30s]
//	task-t1 TASK_SPAWNED {"task_id":"t1",…}
func (env *Env) appendRaw(ctx context.Context, d *datadriven.TestData) (string, error) {
	at := env.now
	if offset, ok := argument(d, "at"); ok {
		shift, err := time.ParseDuration(offset)
		if err != nil {
			return "", domain.Errorf(domain.Invalid, "at=%s: %w", offset, err)
		}
		at = at.Add(shift)
	}
	for line := range strings.Lines(d.Input) {
		line = strings.TrimSpace(line)
		stream, rest, _ := strings.Cut(line, " ")
		eventType, data, _ := strings.Cut(rest, " ")
		eventType, versionText, versioned := strings.Cut(eventType, "/")
		version := 1
		if def, known := env.catalog.Lookup(eventType); known {
			version = def.Version
		}
		if versioned {
			n, err := strconv.Atoi(versionText)
			if err != nil {
				return "", domain.Errorf(domain.Invalid, "line %q: want a version after the slash", line)
			}
			version = n
		}
		env.commands++
		var failed error
		err := env.on(func() {
			_, failed = env.log.Append(ctx, domain.StreamID(stream), domain.AnyRevision, eventlog.Proposed{
				ID: domain.DeriveID(fmt.Sprintf("script/%d", env.commands), 0), Type: eventType, Version: version,
				Time: domain.Instant(at), Data: []byte(data),
			})
		})
		if err = errors.Join(err, failed); err != nil {
			return "", err
		}
	}
	return env.news(ctx)
}

// command runs a command as a client would. Its id is made up unless the script gives one;
// a second command with the same id is a retry.
//
//	command work.claim [id=c1] [actor=ann] [dry]
//	{"node_id":"gpu-1"}
func (env *Env) command(ctx context.Context, d *datadriven.TestData) (string, error) {
	if len(d.CmdArgs) == 0 {
		return "", domain.Errorf(domain.Invalid, "command: want the type of the command")
	}
	spec, known := env.node.Bus().Spec(d.CmdArgs[0].Key)
	if !known {
		return "", domain.Errorf(domain.Invalid, "command type %q is not known", d.CmdArgs[0].Key)
	}
	pointer := spec.New()
	decoder := json.NewDecoder(strings.NewReader(or(d.Input, "{}")))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(pointer); err != nil {
		return "", domain.Errorf(domain.Invalid, "command %s: %w", spec.Type, err)
	}
	id, given := argument(d, "id")
	if !given {
		env.commands++
		id = fmt.Sprintf("c%d", env.commands)
	}
	actor, _ := argument(d, "actor")
	var result commands.Result
	var err error
	if late := env.on(func() {
		result, err = env.node.Do(ctx, node.Order{ID: id, Actor: actor, Command: spec.Value(pointer), Dry: d.HasArg("dry")})
	}); late != nil {
		return "", late
	}
	return env.told(ctx, result, err, d.HasArg("dry"))
}

func (env *Env) told(ctx context.Context, result commands.Result, failure error, dry bool) (string, error) {
	var b strings.Builder
	switch {
	case dry:
		for _, e := range result.Events {
			fmt.Fprintf(&b, "would append %s@%d %s %s\n", e.Stream, e.Revision, e.Type, e.Data)
		}
	case result.Duplicate:
		for _, e := range result.Events {
			fmt.Fprintf(&b, "again %s\n", e)
		}
	}
	news, err := env.news(ctx)
	if err != nil {
		return "", err
	}
	b.WriteString(news)
	if failure == nil && result.Answer != nil {
		answer, err := json.Marshal(result.Answer)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "answer %s\n", answer)
	}
	return b.String(), failure
}

// tick advances the clock and runs the commands that are due. The commands of reactors
// wait for drain.
//
//	tick 90s
func (env *Env) tick(ctx context.Context, d *datadriven.TestData) (string, error) {
	if len(d.CmdArgs) == 0 {
		return "", domain.Errorf(domain.Invalid, "tick: want how far, like 90s")
	}
	step, err := time.ParseDuration(d.CmdArgs[0].Key)
	if err != nil {
		return "", domain.Errorf(domain.Invalid, "tick: %w", err)
	}
	switch {
	case env.world != nil: // it has its own clock, and its nodes tick by themselves
		env.world.Run(step)
		return env.news(ctx)
	case env.cluster != nil:
		return env.passed(ctx, step)
	}
	env.now = env.now.Add(step)
	if err := env.settle(ctx, true, false); err != nil {
		return "", err
	}
	return env.news(ctx)
}

// drain runs the commands in the outbox until nothing more happens.
//
//	drain
func (env *Env) drain(ctx context.Context, _ *datadriven.TestData) (string, error) {
	if env.cluster != nil {
		return env.passed(ctx, 0)
	}
	if err := env.settle(ctx, false, true); err != nil {
		return "", err
	}
	return env.news(ctx)
}

// outbox shows the commands of reactors that wait in the outbox.
//
//	outbox
func (env *Env) outbox(ctx context.Context, _ *datadriven.TestData) (string, error) {
	if err := env.node.Sync(ctx); err != nil {
		return "", err
	}
	pending, err := env.Pending(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, entry := range pending {
		fmt.Fprintf(&b, "%d %s → %s %s\n", entry.Position, entry.Reactor, entry.CommandType, entry.Command)
	}
	return b.String(), nil
}

// http sends a request to the routes of the node and shows the answer.
//
//	http POST /work/add [key=c1]
//	{"task_type":"selfplay"}
func (env *Env) http(ctx context.Context, d *datadriven.TestData) (string, error) {
	if len(d.CmdArgs) < 2 {
		return "", domain.Errorf(domain.Invalid, "http: want a method and a path")
	}
	path := d.CmdArgs[1].Key
	if len(d.CmdArgs[1].Vals) > 0 { // the parser of directives cuts the path at a "="
		path += "=" + strings.Join(d.CmdArgs[1].Vals, ",")
	}
	if err := env.node.Sync(ctx); err != nil {
		return "", err
	}
	request := httptest.NewRequestWithContext(ctx, d.CmdArgs[0].Key, path, strings.NewReader(d.Input))
	request.Header.Set("X-Request-Id", "script")
	if d.Input != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	key, given := argument(d, "key")
	if !given && d.CmdArgs[0].Key == http.MethodPost {
		env.commands++
		key = fmt.Sprintf("c%d", env.commands)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	recorder := httptest.NewRecorder()
	if err := env.on(func() { env.serve(recorder, request) }); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n%s\n", recorder.Code, strings.TrimRight(recorder.Body.String(), "\n"))
	head, err := env.log.Head(ctx)
	if err != nil {
		return "", err
	}
	env.shown = head // the answer shows them
	return b.String(), nil
}

// dump shows the rows of a table.
//
//	dump work.items [prefix=t1]
func (env *Env) dump(ctx context.Context, d *datadriven.TestData) (string, error) {
	if len(d.CmdArgs) == 0 {
		return "", domain.Errorf(domain.Invalid, "dump: want a table")
	}
	prefix, _ := argument(d, "prefix")
	var b strings.Builder
	err := env.View(ctx, func(v projections.View) error {
		for row, err := range v.Scan(d.CmdArgs[0].Key, projections.Span{Prefix: prefix}) {
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %s\n", strings.ReplaceAll(row.Key, "\x00", "|"), row.Value)
		}
		return nil
	})
	if b.Len() == 0 && err == nil {
		return "no rows\n", nil
	}
	return b.String(), err
}

// digest shows the digest of the read models.
//
//	digest
func (env *Env) digest(ctx context.Context, _ *datadriven.TestData) (string, error) {
	digest, err := env.Digest(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s at %d\n", digest.Total, digest.Position), nil
}

// crashed ends the process as a loss of power does: a share of what was not synced is
// lost.
//
//	crash [keep=50] [seed=1]
func (env *Env) crashed(ctx context.Context, d *datadriven.TestData) (string, error) {
	if env.cluster != nil {
		return env.fault(ctx, d)
	}
	keep, seed := 0, uint64(1)
	if text, ok := argument(d, "keep"); ok {
		keep, _ = strconv.Atoi(text)
	}
	if text, ok := argument(d, "seed"); ok {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	if err := env.crash(keep, seed); err != nil {
		return "", err
	}
	head, err := env.log.Head(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("log at %d\n", head), nil
}

func argument(d *datadriven.TestData, key string) (string, bool) {
	for _, arg := range d.CmdArgs {
		if arg.Key == key && len(arg.Vals) > 0 {
			return strings.Join(arg.Vals, ","), true
		}
	}
	return "", false
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
