package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/transport"
)

func newAdmin(a *app) *cobra.Command {
	c := group(a, "admin", "See how a node and its cluster do, hold work back, and stop the node",
		"  rift admin status\n  rift admin pause tournament upgrade --seconds 30m\n  rift admin dead-letters\n  rift admin shutdown --reason upgrade", adminEndpoints())
	c.AddCommand(newProjections(a, endpoint{
		name: "projections", short: "List the read models and how far they are", route: "admin.projections",
		example: "  rift admin projections\n  rift admin projections rebuild work", show: showProjections,
	}))
	letters := letterEndpoints()
	dead := newEndpoint(a, letters[0])
	letters[0].name = "list"
	for _, e := range letters {
		dead.AddCommand(newEndpoint(a, e))
	}
	c.AddCommand(dead)
	return c
}

func adminEndpoints() []endpoint {
	return []endpoint{
		{
			name: "health", short: "Check every part of a node", route: "admin.health",
			long: "Exits 2 when a part is degraded or failed.", judges: true,
			example: "  rift admin health\n  rift admin health -o json --addr http://gpu-7:8770", show: showHealth,
		},
		{
			name: "status", short: "See on one page what the node and the cluster do, and what is wrong", route: "admin.status",
			long: statusAbout, judges: true,
			example: "  rift admin status\n  rift admin status -o json", show: showStatusPage,
		},
		{
			name: "pauses", short: "List the kinds of work that are held back", route: "admin.pauses",
			example: "  rift admin pauses", empty: "nothing is paused", show: showPauses,
		},
		{
			name: "pause", short: "Hold a kind of work back for a reason", route: "admin.pause", args: []string{"kind", "reason"}, needs: 2,
			long:    "Nothing of the kind is handed out until the reason is lifted or its time runs out; what is running goes on. Several reasons may hold one kind, and lifting one lifts no other.",
			example: "  rift admin pause tournament upgrade --seconds 30m\n  rift admin pause all maintenance",
			help: map[string]string{
				"kind": "a task type, \"all\", or \"selfplay_scale_up\"", "reason": "why; the name of this pause",
				"seconds": "how long: 30m, or seconds (default: until it is lifted)", "until": "instead: until when, RFC 3339",
			},
			show: showStored,
		},
		{
			name: "resume", short: "Lift one reason for which a kind of work is held back", route: "admin.resume", args: []string{"kind", "reason"}, needs: 2,
			example: "  rift admin resume tournament upgrade",
			help:    map[string]string{"kind": "the kind that is paused", "reason": "the reason to lift; others go on holding the kind"},
			show:    showStored,
		},
		{
			name: "handlers", short: "List the event handlers, how far they are and how often they failed", route: "admin.handlers",
			example: "  rift admin handlers", show: showHandlers,
		},
		{
			name: "shutdown", short: "Stop a node in good order", route: "admin.shutdown",
			long:    "The node stops taking claims, lets what is in flight end within the grace, writes everything out and exits 0.",
			example: "  rift admin shutdown --reason upgrade --grace-seconds 30s",
			help:    map[string]string{"reason": "why, for the log", "grace_seconds": "time for requests in flight: 30s, or seconds"},
			show: func(p *output.Printer, answer json.RawMessage, e endpoint) error {
				if err := p.Line("the node is stopping"); err != nil {
					return err
				}
				return showStored(p, answer, e)
			},
		},
	}
}

func showHealth(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	health, err := decode[transport.Health](answer)
	if err != nil {
		return err
	}
	l := output.Listing{Doc: answer, Columns: []output.Column{{Name: "part"}, {Name: "state"}, {Name: "numbers"}, {Name: "reason"}, {Name: "causes", Wide: true}}}
	l.Above = "node " + health.Node + " of cluster " + health.Cluster + " is " + string(health.Status) + " at position " + health.Position.String() + "\n"
	bad := 0
	for _, check := range health.Checks {
		numbers := ""
		for _, name := range slices.Sorted(maps.Keys(check.Numbers)) {
			if numbers != "" {
				numbers += ", "
			}
			if what, isBytes := strings.CutPrefix(name, "bytes_"); isBytes {
				numbers += what + " " + output.Bytes(check.Numbers[name]).String()
			} else {
				numbers += strings.ReplaceAll(name, "_", " ") + " " + output.Count(check.Numbers[name])
			}
		}
		l.Rows = append(l.Rows, []any{check.Name, string(check.State), numbers, check.Reason, strings.Join(check.Causes, "\n")})
		l.Items = append(l.Items, check)
		if check.State != transport.StateOK {
			bad++
		}
	}
	if err := p.Print(l); err != nil {
		return err
	}
	if bad > 0 {
		return &findings{bad, "part that is not ok"}
	}
	return nil
}

func showHandlers(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	live, err := decode[transport.Handlers](answer)
	if err != nil {
		return err
	}
	slices.SortStableFunc(live.Handlers, func(a, b transport.HandlerRow) int {
		return cmp.Or(cmp.Compare(b.DeadLetters, a.DeadLetters), cmp.Compare(b.Failures, a.Failures))
	})
	l := output.List(live.Handlers, []output.ColumnOf[transport.HandlerRow]{
		{Name: "event"},
		{Name: "handler", Key: "name"},
		{Name: "kind"},
		{Name: "runs"},
		{Name: "failures"},
		{Name: "dead_letters"},
		{Name: "position"},
		{Name: "lag"},
		{Name: "last_run"},
		{Name: "documented", Wide: true, Value: func(row transport.HandlerRow) any { return documentedAs(row.Number, row.Documented) }},
		{Name: "commands", Wide: true},
		{Name: "reads", Wide: true},
		{Name: "writes", Wide: true},
		{Name: "about", Wide: true},
	})
	l.Doc = answer
	return p.Print(l)
}

func showProjections(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	live, err := decode[transport.Projections](answer)
	if err != nil {
		return err
	}
	l := output.List(live.Projections, []output.ColumnOf[transport.ProjectionRow]{
		{Name: "name"},
		{Name: "version"},
		{Name: "generation", Wide: true},
		{Name: "state"},
		{Name: "position"},
		{Name: "lag"},
		{Name: "rebuild", Value: func(row transport.ProjectionRow) any { return rebuildText(row.Rebuild) }},
		{Name: "about", Max: 60},
		{Name: "tables", Wide: true},
		{Name: "digest", Wide: true},
	})
	l.Doc = answer
	return p.Print(l)
}

func rebuildText(row *transport.RebuildRow) string {
	if row == nil {
		return ""
	}
	what := fmt.Sprintf("version %d", row.To)
	if row.From == row.To {
		what += " again"
	}
	if row.Waits {
		return what + ", waits for others"
	}
	text := fmt.Sprintf("%s, %.1f %%, %.0f/s", what, row.Percent, row.PerSec)
	if row.ETA != nil {
		text += ", done in " + row.ETA.Duration().Round(time.Second).String()
	}
	return text
}
