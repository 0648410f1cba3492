package sched_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/ringrift/rift/domain/sched"
)

// scenario runs the directives of testdata/*.txt: each builds a small queue and
// asks it questions.
type scenario struct {
	t     *testing.T
	rules *sched.Rules
	x     *sched.Index
	now   time.Time
	level sched.Pressure
	last  sched.Decision
}

func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		s := &scenario{t: t, now: epoch, level: sched.NoPressure}
		s.policy(sched.DefaultPolicy())
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			text, err := s.run(d)
			if err != nil {
				return "error: " + err.Error() + "\n"
			}
			return text
		})
	})
}

func (s *scenario) policy(p sched.Policy) {
	s.rules = compile(s.t, p)
	s.x = sched.New(s.rules, wordMatcher{})
}

func (s *scenario) run(d *datadriven.TestData) (string, error) {
	has := func(key string) bool { return d.HasArg(key) }
	word := func(key string) (v string) { d.MaybeScanArgs(s.t, key, &v); return v }
	number := func(key string) (v int) { d.MaybeScanArgs(s.t, key, &v); return v }
	later := func(key string) time.Time {
		if !has(key) {
			return time.Time{}
		}
		return s.now.Add(s.duration(word(key)))
	}
	switch d.Cmd {
	case "policy":
		p := sched.DefaultPolicy()
		if has("small") {
			p = smallPolicy()
		}
		if has("reserved_every") {
			p.ReservedEvery = number("reserved_every")
		}
		if has("weights") {
			p.Weights = nil
			for pair := range strings.SplitSeq(word("weights"), "/") {
				config, weight, _ := strings.Cut(pair, ":")
				n, err := strconv.Atoi(weight)
				if err != nil {
					return "", err
				}
				p.Weights = append(p.Weights, sched.ConfigWeight{Config: config, Weight: n})
			}
		}
		if _, err := sched.Compile(p); err != nil {
			return "", err
		}
		s.policy(p)
	case "wait":
		s.now = s.now.Add(s.duration(d.CmdArgs[0].Key))
	case "node":
		return "", s.x.SetNode(s.node(d))
	case "add":
		for n := range max(number("times"), 1) {
			item := sched.Item{
				ID: d.CmdArgs[0].Key, Type: word("type"), Config: word("config"), Priority: number("priority"), Queued: s.now,
				Expr: word("expr"), GPU: has("gpu"), Pin: word("pin"), PinUntil: later("pin_for"), NotBefore: later("not_before"),
			}
			if has("times") {
				item.ID = fmt.Sprintf("%s-%d", item.ID, n+1)
			}
			for _, list := range []struct {
				key string
				to  *[]string
			}{{"requires", &item.Words}, {"after", &item.BlockedOn}} {
				if has(list.key) {
					*list.to = strings.Split(word(list.key), "/")
				}
			}
			if has("excluded") {
				item.Excluded = []sched.Exclusion{{Node: word("excluded"), Until: later("excluded_for")}}
			}
			if err := s.x.Add(item); err != nil {
				return "", err
			}
		}
	case "pick", "lease":
		var text strings.Builder
		for range max(number("times"), 1) {
			decision, found := s.x.Pick(d.CmdArgs[0].Key, s.now)
			if !found {
				fmt.Fprintln(&text, "nothing")
				break
			}
			s.last = decision
			fmt.Fprintln(&text, decision.Item)
			if has("why") {
				for _, reason := range decision.Reasons() {
					fmt.Fprintln(&text, " ", reason)
				}
			}
			if d.Cmd == "lease" {
				if err := s.x.Lease(decision, s.now); err != nil {
					return "", err
				}
			}
			if has("and_end") {
				s.x.Done(decision.Item)
			}
		}
		return text.String(), nil
	case "again":
		return "", s.x.Lease(s.last, s.now)
	case "release":
		return "", s.x.Release(d.CmdArgs[0].Key)
	case "done":
		s.x.Done(d.CmdArgs[0].Key)
	case "pause":
		s.x.Pause(d.CmdArgs[0].Key, sched.Pause{Reason: word("reason"), Until: later("for")})
	case "resume":
		s.x.Resume(d.CmdArgs[0].Key, word("reason"))
	case "preempt":
		exchange, found := s.x.Preempt(d.CmdArgs[0].Key, s.now)
		if !found {
			return "nobody gives way\n", nil
		}
		return fmt.Sprintf("%s takes the place of %s\n  %s\n", exchange.Claim.ID, exchange.Victim.ID, exchange.Reason), nil
	case "explain":
		return s.explain(d.CmdArgs[0].Key)
	case "gates":
		var text strings.Builder
		for _, gate := range s.rules.NodeGates(s.node(d), sched.Requirement{Type: word("type"), GPU: has("needs_gpu")}, wordMatcher{}) {
			writeGate(&text, gate)
		}
		return text.String(), nil
	case "match":
		var text strings.Builder
		for id := range strings.FieldsSeq(d.Input) {
			policy, _ := s.rules.NodePolicy(id)
			fmt.Fprintf(&text, "%s: %s\n", id, policy.Name)
		}
		return text.String(), nil
	case "memory":
		var text strings.Builder
		for name := range strings.Lines(d.Input) {
			name = strings.TrimSpace(name)
			known := s.rules.GPUMemoryOf(name)
			if !known.Known {
				fmt.Fprintf(&text, "%s: not known\n", name)
				continue
			}
			fmt.Fprintf(&text, "%s: %d GB\n", name, known.Value)
		}
		return text.String(), nil
	case "pressure":
		var text strings.Builder
		for field := range strings.FieldsSeq(d.Input) {
			pending, err := strconv.Atoi(field)
			if err != nil {
				return "", err
			}
			s.level = s.rules.Policy().Pressure.Next(s.level, pending)
			fmt.Fprintf(&text, "%d: %s\n", pending, s.level)
		}
		return text.String(), nil
	case "admit":
		admission := s.rules.Admit(word("type"), s.level, number("pending"), number("of_kind"))
		return fmt.Sprintf("%v: %s\n", admission.OK, admission.Reason), nil
	case "size":
		var measured sched.Throughput
		if has("games") {
			measured = measured.Measured(number("games"), s.duration(word("in")), max(number("concurrency"), 1), 0)
		}
		sized := sched.Sizing{
			Target: s.duration(word("target")), Concurrency: number("concurrency"), Batch: number("batch"),
			Least: number("least"), Most: number("most"), Unmeasured: 50,
		}.Games(measured)
		return fmt.Sprintf("%d games: %s\n", sized.Games, sized.Reason), nil
	default:
		return "", fmt.Errorf("no directive %s", d.Cmd)
	}
	return "", nil
}

func (s *scenario) duration(text string) time.Duration {
	if text == "" {
		return 0
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *scenario) node(d *datadriven.TestData) sched.Node {
	word := func(key string) (v string) { d.MaybeScanArgs(s.t, key, &v); return v }
	maybe := func(key string, times int) sched.Maybe[int] {
		var v int
		if !d.MaybeScanArgs(s.t, key, &v) {
			return sched.Maybe[int]{}
		}
		return sched.Known(v * times)
	}
	node := sched.Node{
		ID: d.CmdArgs[0].Key, Closed: word("closed"), Accepts: word("accepts"), GPUName: word("card"), Facts: word("facts"),
		Slots: maybe("slots", 1), GPUMemoryPercent: maybe("memory", 100), GPUPercent: maybe("busy", 100), DiskPercent: maybe("disk", 100),
	}
	if d.HasArg("has_gpu") {
		node.HasGPU = sched.Known(word("has_gpu") == "yes")
	}
	if d.HasArg("wants") {
		node.Wants = strings.Split(word("wants"), "/")
	}
	if d.HasArg("words") {
		node.Words = strings.Split(word("words"), "/")
	}
	return node
}

func writeGate(text *strings.Builder, gate sched.Gate) {
	mark := "open"
	switch {
	case !gate.OK:
		mark = "CLOSED"
	case gate.Unknown:
		mark = "unknown"
	}
	fmt.Fprintf(text, "%-13s %-8s %s\n", gate.Name, mark, gate.Reason)
}

func (s *scenario) explain(name string) (string, error) {
	var text strings.Builder
	counts := func(list []sched.GateCount) {
		for _, count := range list {
			fmt.Fprintf(&text, "%-13s keeps out %d, unknown for %d", count.Gate, count.Count, count.Unknown)
			if count.Example != "" {
				fmt.Fprintf(&text, ": %s", count.Example)
			}
			fmt.Fprintln(&text)
		}
	}
	if item, found := s.x.Explain(name, s.now); found {
		fmt.Fprintf(&text, "%s: %s\n", item.State, item.Verdict)
		for _, gate := range item.Gates {
			writeGate(&text, gate)
		}
		fmt.Fprintf(&text, "%d of %d nodes able\n", item.Able, item.Nodes)
		counts(item.Closed)
		return text.String(), nil
	}
	node, found := s.x.ExplainNode(name, s.now)
	if !found {
		return "", fmt.Errorf("neither an item nor a node: %s", name)
	}
	fmt.Fprintln(&text, node.Verdict)
	for _, gate := range node.Gates {
		writeGate(&text, gate)
	}
	fmt.Fprintf(&text, "%d of %d items\n", node.Able, node.Queued)
	counts(node.Closed)
	return text.String(), nil
}
