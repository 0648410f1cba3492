package sched_test

import (
	"fmt"
	"maps"
	"slices"
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
	nodes map[string]sched.Node
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
	s.x, s.nodes = sched.New(s.rules, wordMatcher{}), map[string]sched.Node{}
}

// line reads the arguments of a directive.
type line struct {
	*scenario
	d *datadriven.TestData
}

func (l line) has(key string) bool        { return l.d.HasArg(key) }
func (l line) word(key string) (v string) { l.d.MaybeScanArgs(l.t, key, &v); return v }
func (l line) number(key string) (v int)  { l.d.MaybeScanArgs(l.t, key, &v); return v }
func (l line) list(key string) []string {
	return strings.FieldsFunc(l.word(key), func(c rune) bool { return c == '/' })
}
func (l line) name() string                    { return l.d.CmdArgs[0].Key }
func (l line) length(key string) time.Duration { return l.duration(l.word(key)) }

// later is a moment so far from now; zero without the key.
func (l line) later(key string) time.Time {
	if !l.has(key) {
		return time.Time{}
	}
	return l.now.Add(l.length(key))
}

func (s *scenario) run(d *datadriven.TestData) (string, error) {
	l := line{s, d}
	switch d.Cmd {
	case "policy", "rules":
		return "", s.rule(l)
	case "wait":
		s.now = s.now.Add(s.duration(l.name()))
	case "node":
		s.nodes[l.name()] = l.node()
		return "", s.x.SetNode(l.node())
	case "add":
		return "", s.add(l)
	case "update":
		item := l.item()
		if old, _, found := s.x.Find(item.ID); found {
			item.Queued = old.Queued
		}
		return "", s.x.Update(item)
	case "pick", "lease":
		return s.pick(l)
	case "again":
		return "", s.x.Lease(s.last, s.now)
	case "release":
		return "", s.x.Release(l.name())
	case "end":
		s.x.Remove(l.name())
	case "pause":
		pauses := map[string]string{}
		for _, arg := range d.CmdArgs {
			pauses[arg.Key] = arg.Vals[0]
		}
		s.x.SetPauses(pauses)
	case "promise":
		s.x.Promise(l.name(), l.word("node"), l.later("for"))
	case "keep":
		if ousted := s.x.Keep(l.name(), l.word("node"), l.later("for")); ousted != "" {
			return "in place of " + ousted + "\n", nil
		}
	case "preempt":
		return s.preempt(l), nil
	case "explain":
		return s.explain(l.name())
	default:
		return s.ask(l)
	}
	return "", nil
}

func (s *scenario) rule(l line) error {
	p := sched.DefaultPolicy()
	if l.has("small") {
		p = smallPolicy()
	}
	for key, to := range map[string]*int{"reserved_every": &p.ReservedEvery, "default_slots": &p.DefaultSlots, "reservations": &p.Reservations, "reserve_after": &p.ReserveAfter} {
		if l.has(key) {
			*to = l.number(key)
		}
	}
	if l.has("weights") {
		p.Weights = nil
		for _, pair := range l.list("weights") {
			config, weight, _ := strings.Cut(pair, ":")
			n, err := strconv.Atoi(weight)
			if err != nil {
				return err
			}
			p.Weights = append(p.Weights, sched.ConfigWeight{Config: config, Weight: n})
		}
	}
	rules, err := sched.Compile(p)
	switch {
	case err != nil:
		return err
	case l.d.Cmd == "policy":
		s.policy(p)
	default:
		s.rules = rules
		s.x.SetRules(rules)
	}
	return nil
}

func (l line) item() sched.Item {
	item := sched.Item{
		ID: l.name(), Seq: uint64(l.number("seq")), Type: l.word("type"), Config: l.word("config"), Priority: l.number("priority"), Queued: l.now,
		Words: l.list("requires"), Expr: l.word("expr"), GPU: l.has("gpu"), Pin: l.word("pin"),
	}
	if l.has("excluded") {
		item.Excluded = []sched.Exclusion{{Node: l.word("excluded"), Until: l.later("excluded_for")}}
	}
	return item
}

func (s *scenario) add(l line) error {
	for n := range max(l.number("times"), 1) {
		item := l.item()
		if l.has("times") {
			item.ID = fmt.Sprintf("%s-%d", item.ID, n+1)
		}
		if err := s.x.Add(item); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) pick(l line) (string, error) {
	var text strings.Builder
	for range max(l.number("times"), 1) {
		decision, found := s.x.Pick(l.name(), s.now)
		if !found {
			fmt.Fprint(&text, "nothing")
			if decision.Item != "" {
				fmt.Fprintf(&text, "; it keeps its room for %s", decision.Item)
				s.x.Reserve(decision, s.now)
			}
			fmt.Fprintln(&text)
			break
		}
		s.last = decision
		fmt.Fprintln(&text, decision.Item)
		if l.has("why") {
			for _, reason := range decision.Reasons() {
				fmt.Fprintln(&text, " ", reason)
			}
		}
		if l.d.Cmd == "lease" {
			if err := s.x.Lease(decision, s.now); err != nil {
				return "", err
			}
		}
		if l.has("and_end") {
			s.x.Remove(decision.Item)
		}
	}
	return text.String(), nil
}

// preempt prints who gives way, and has the places promised.
func (s *scenario) preempt(l line) string {
	exchanges := s.x.Exchanges(s.now, l.length("after"), func(id string) (sched.Node, bool) {
		node, known := s.nodes[id]
		return node, known && node.Closed == ""
	})
	if len(exchanges) == 0 {
		return "nobody gives way\n"
	}
	var text strings.Builder
	for _, one := range exchanges {
		fmt.Fprintf(&text, "%s takes the place of %s on %s\n  %s\n", one.For, one.Victim.ID, one.Node, one.Reason)
		s.x.Ask(one.Victim.ID)
		s.x.Promise(one.For, one.Node, s.now.Add(time.Minute))
	}
	return text.String()
}

// ask are the questions that need no queue.
func (s *scenario) ask(l line) (string, error) {
	var text strings.Builder
	switch l.d.Cmd {
	case "gates":
		for _, gate := range s.rules.NodeGates(l.node(), sched.Requirement{Type: l.word("type"), GPU: l.has("needs_gpu")}, wordMatcher{}) {
			writeGate(&text, "", gate)
		}
	case "match":
		for id := range strings.FieldsSeq(l.d.Input) {
			policy, _ := s.rules.NodePolicy(id)
			fmt.Fprintf(&text, "%s: %s\n", id, policy.Name)
		}
	case "memory":
		for name := range strings.Lines(l.d.Input) {
			name = strings.TrimSpace(name)
			known := s.rules.GPUMemoryOf(name)
			if !known.Known {
				fmt.Fprintf(&text, "%s: not known\n", name)
				continue
			}
			fmt.Fprintf(&text, "%s: %d GB\n", name, known.Value)
		}
	case "pressure":
		for field := range strings.FieldsSeq(l.d.Input) {
			pending, err := strconv.Atoi(field)
			if err != nil {
				return "", err
			}
			s.level = s.rules.Policy().Pressure.Next(s.level, pending)
			fmt.Fprintf(&text, "%d: %s\n", pending, s.level)
		}
	case "admit":
		admission := s.rules.Admit(l.word("type"), s.level, l.number("pending"), l.number("of_kind"))
		fmt.Fprintf(&text, "%v: %s\n", admission.OK, admission.Reason)
	case "size":
		var measured sched.Throughput
		if l.has("games") {
			measured = measured.Measured(l.number("games"), l.length("in"), max(l.number("concurrency"), 1), 0)
		}
		sized := sched.Sizing{
			Target: l.length("target"), Concurrency: l.number("concurrency"), Batch: l.number("batch"),
			Least: l.number("least"), Most: l.number("most"), Unmeasured: 50,
		}.Games(measured)
		fmt.Fprintf(&text, "%d games: %s\n", sized.Games, sized.Reason)
	default:
		return "", fmt.Errorf("no directive %s", l.d.Cmd)
	}
	return text.String(), nil
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

func (l line) node() sched.Node {
	maybe := func(key string, times int) sched.Maybe[int] {
		if !l.has(key) {
			return sched.Maybe[int]{}
		}
		return sched.Known(l.number(key) * times)
	}
	node := sched.Node{
		ID: l.name(), Closed: l.word("closed"), Accepts: l.word("accepts"), GPUName: l.word("card"), Facts: l.word("facts"),
		Slots: maybe("slots", 1), Free: maybe("free", 1), GPUMemoryPercent: maybe("memory", 100), GPUPercent: maybe("busy", 100), DiskPercent: maybe("disk", 100),
		Wants: l.list("wants"), Words: l.list("words"),
	}
	if l.has("has_gpu") {
		node.HasGPU = sched.Known(l.word("has_gpu") == "yes")
	}
	if l.has("unbounded") {
		node.Slots = sched.Known(sched.Unbounded)
	}
	return node
}

func writeGate(text *strings.Builder, indent string, gate sched.Gate) {
	mark := "open"
	switch {
	case !gate.OK:
		mark = "CLOSED"
	case gate.Unknown:
		mark = "unknown"
	}
	fmt.Fprintf(text, "%s%-13s %-8s %s\n", indent, gate.Name, mark, gate.Reason)
}

// explain prints, of an item, its place and what keeps it from each node; of a
// node, what keeps everything from it, and each group of items.
func (s *scenario) explain(name string) (string, error) {
	var text strings.Builder
	item, state, found := s.x.Find(name)
	if found {
		fmt.Fprintf(&text, "%s, type %s, config %s\n", state, item.Type, item.Config)
		s.explainItem(&text, name)
		return text.String(), nil
	}
	if _, known := s.nodes[name]; !known {
		return "", fmt.Errorf("neither an item nor a node: %s", name)
	}
	for _, gate := range s.x.NodeGates(name, s.now) {
		writeGate(&text, "", gate)
	}
	var counts sched.GateCounts
	for _, group := range s.x.ForNode(name, s.now) {
		verdict := "kept out"
		if counts.Add(group.First, group.Queued, group.Gates) {
			verdict = "let through"
		}
		fmt.Fprintf(&text, "%d of type %s, %s first: %s\n", group.Queued, group.Type, group.First, verdict)
	}
	writeCounts(&text, counts)
	return text.String(), nil
}

func (s *scenario) explainItem(text *strings.Builder, id string) {
	place, queued := s.x.Place(id, s.now, 10)
	if !queued {
		return
	}
	fmt.Fprintf(text, "class %s, starving %v, %d of its group ahead, weight %d, %d of %d flows owed more, %d turns at most once it starves\n",
		place.Class.Name, place.Starving, place.Ahead, place.Weight, place.FlowsAhead, place.Flows, place.BoundTurns)
	var counts sched.GateCounts
	for _, node := range slices.Sorted(maps.Keys(s.nodes)) {
		gates := s.x.Gates(id, node, s.now)
		verdict := "closed"
		if counts.Add(node, 1, gates) {
			verdict = "open"
		}
		fmt.Fprintf(text, "node %s: %s\n", node, verdict)
		for _, gate := range gates {
			if gate.Name != sched.GateNode && gate.Name != sched.GateWanted && gate.Name != sched.GatePolicy && gate.Name != sched.GateRequires || !gate.OK {
				writeGate(text, "  ", gate)
			}
		}
	}
	writeCounts(text, counts)
}

func writeCounts(text *strings.Builder, counts sched.GateCounts) {
	for _, count := range counts.List() {
		fmt.Fprintf(text, "%-13s keeps out %d, unknown for %d", count.Gate, count.Count, count.Unknown)
		if count.Example != "" {
			fmt.Fprintf(text, ": %s", count.Example)
		}
		fmt.Fprintln(text)
	}
}
