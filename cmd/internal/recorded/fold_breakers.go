package recorded

import (
	"regexp"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// nodeBreakers are the open breakers of a node, by target.
type nodeBreakers struct {
	targets map[string]*breakerLevel
	log     *history[breakerEdge]
}

// breakerEdge is the opening or closing of a breaker in the log.
type breakerEdge struct {
	target   string
	opened   bool
	recovery time.Duration
}

// breakersOf returns the breakers of a node that are known to be open at a time.
func (k *knowledge) breakersOf(node domain.NodeID, at time.Time) (map[string]*breakerLevel, error) {
	known := k.breakers[node]
	if known == nil {
		log, err := historyOf(k.r, node.Stream(), func(e domain.Envelope) (breakerEdge, bool) {
			switch event := e.Event.(type) {
			case nodes.BreakerOpened:
				return breakerEdge{event.Target, true, event.RecoverySeconds.Duration()}, true
			case nodes.BreakerClosed:
				return breakerEdge{target: event.Target}, true
			}
			return breakerEdge{}, false
		})
		if err != nil {
			return nil, err
		}
		known = &nodeBreakers{targets: map[string]*breakerLevel{}, log: log}
		k.breakers[node] = known
	}
	for when, edge := range known.log.before(at) {
		breaker := known.targets[edge.target]
		switch {
		case edge.opened && (breaker == nil || when.After(breaker.last)):
			known.targets[edge.target] = &breakerLevel{last: when, recovery: edge.recovery}
		case !edge.opened && breaker != nil && !breaker.last.After(when):
			delete(known.targets, edge.target)
		}
	}
	return known.targets, nil
}

// breakerLevel is an open breaker.
type breakerLevel struct {
	last     time.Time     // last report that it is open
	recovery time.Duration // after which it tries again; 0: unknown
	text     string        // of that report
}

var (
	breakerFailures = regexp.MustCompile(`(\d+)\s+(?:consecutive\s+)?(?:failures?|errors?|restarts?)`)
	breakerRecovery = regexp.MustCompile(`(?:recover|retry|reset|cooldown|timeout|blocking)\D{0,24}?(\d+(?:\.\d+)?)\s*s(?:\W|$|ec)`)
)

// breakerSilence is the time within which reports of an open breaker without a recovery
// time belong together.
const breakerSilence = time.Minute

// opened handles a report of an open breaker. Every caller that meets an open breaker
// reports it, so reports within its recovery time are one opening, unless one says that a
// try failed in between.
func (f *translator) opened(at stamped, node domain.NodeID, target, text string, failures int, recovery domain.Seconds) error {
	if found := breakerFailures.FindStringSubmatch(text); found != nil && failures == 0 {
		failures, _ = strconv.Atoi(found[1]) // out of range is unknown
	}
	if found := breakerRecovery.FindStringSubmatch(text); found != nil && recovery == 0 {
		recovery, _ = seconds(found[1]) // out of range is unknown
	}
	target = clip(target, 200)
	breakers, err := f.breakersOf(node, at.at)
	if err != nil {
		return err
	}
	breaker := breakers[target]
	if breaker == nil {
		breaker = &breakerLevel{}
		breakers[target] = breaker
	}
	before := breaker.last
	open := !before.IsZero() && at.at.Sub(before).Abs() <= max(breaker.recovery, breakerSilence)
	again := halfOpen.MatchString(text) && text != breaker.text
	breaker.last, breaker.recovery, breaker.text = at.at, recovery.Duration(), text
	if open && !again {
		return f.known(at, "the breaker was open")
	}
	return f.say(at, node.Stream(), nodes.BreakerOpened{NodeID: node, Failures: failures, Target: target, RecoverySeconds: recovery})
}

// halfOpen matches reports of a failed try of an open breaker.
var halfOpen = regexp.MustCompile(`half-open|attempt #\d`)

// closed handles the closing of a breaker.
func (f *translator) closed(at stamped, node domain.NodeID, target, reason string) error {
	target = clip(target, 200)
	breakers, err := f.breakersOf(node, at.at)
	if err != nil {
		return err
	}
	if breakers[target] == nil {
		return f.known(at, "the breaker was not open")
	}
	delete(breakers, target)
	return f.say(at, node.Stream(), nodes.BreakerClosed{NodeID: node, Target: target, Reason: reason})
}

// circuitOpen handles a breaker that has the name of a node.
func (f *translator) circuitOpen(at stamped, g []string) error {
	if domain.CheckName(g[1]) != nil {
		return f.unusable(at, "names no node")
	}
	return f.opened(at, domain.NodeID(g[1]), "", g[2], 0, 0)
}

// partOpen handles a breaker of a node, or of a part of the node that wrote the log, which
// is the logger if the line names none.
func (f *translator) partOpen(at stamped, g []string) error {
	text := first(g[2], g[3])
	is, err := f.isNode(g[1], at.at)
	switch {
	case err != nil:
		return err
	case is:
		return f.opened(at, domain.NodeID(g[1]), "", text, 0, 0)
	}
	return f.opened(at, f.node, first(g[1], at.logger, "unnamed"), text, 0, 0)
}

// partTripped handles the breaker of a class of daemons, or of all daemons.
func (f *translator) partTripped(at stamped, g []string) error {
	restarts, err := strconv.Atoi(g[3])
	recovery, err2 := seconds(g[4])
	if err != nil || err2 != nil {
		return f.unusable(at, "number out of range")
	}
	return f.opened(at, f.node, classOf(g[2]), "", restarts, recovery)
}

func (f *translator) partClosed(at stamped, g []string) error {
	target := g[2]
	if target == "" {
		target = classOf(g[1])
	}
	is, err := f.isNode(target, at.at)
	switch {
	case err != nil:
		return err
	case is:
		return f.closed(at, domain.NodeID(target), "", "recorded")
	}
	return f.closed(at, f.node, target, "recorded")
}

// isNode reports whether a node of that name, or its open breaker, is known at a time.
func (k *knowledge) isNode(name string, at time.Time) (bool, error) {
	if domain.CheckName(name) != nil {
		return false, nil
	}
	node, err := k.nodeOf(name, at)
	if err != nil || node.level != unknown {
		return err == nil, err
	}
	breakers, err := k.breakersOf(domain.NodeID(name), at)
	return breakers[""] != nil, err
}

// classOf returns the target of the breaker of a class of daemons.
func classOf(class string) string {
	if class == "" {
		return "all daemons"
	}
	return "daemons of " + class
}
