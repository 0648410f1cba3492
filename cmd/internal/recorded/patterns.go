package recorded

import (
	"regexp"
	"strings"
	"sync"
)

// pattern is a kind of line of the original's logs. A line belongs to the first
// pattern that matches it, so that no line is counted twice.
type pattern struct {
	row     string
	unless  string   // a line that contains this does not match
	anchors []string // every line that matches contains one of these; checked first, because it is cheap
	expr    *regexp.Regexp
	context bool // listed apart: its lines explain others
	// prepares: the line is used by a line that follows in its file, and may be repeated.
	prepares bool
	rest     bool // takes only lines that no other pattern takes
	apply    func(*translator, stamped, []string) error
}

func (p *pattern) match(text string) []string {
	if p.unless != "" && strings.Contains(text, p.unless) {
		return nil
	}
	for _, anchor := range p.anchors {
		if strings.Contains(text, anchor) {
			return p.expr.FindStringSubmatch(text)
		}
	}
	return nil
}

// patterns lists the patterns in the order of the report.
var patterns = sync.OnceValue(func() []*pattern {
	line := func(row, expr string, apply func(*translator, stamped, []string) error, anchors ...string) *pattern {
		return &pattern{row: row, anchors: anchors, expr: regexp.MustCompile(expr), apply: apply}
	}
	context := func(row, expr string, apply func(*translator, stamped, []string) error, anchors ...string) *pattern {
		p := line(row, expr, apply, anchors...)
		p.context = true
		return p
	}
	prepares := func(p *pattern) *pattern {
		p.prepares = true
		return p
	}
	rest := func(p *pattern) *pattern {
		p.rest = true
		return p
	}
	unless := func(literal string, p *pattern) *pattern {
		p.unless = literal
		return p
	}
	return []*pattern{
		line("work added", `Added work (\S+): (\S+) \(priority: (\d+)\)`, (*translator).workAdded, "Added work "),
		line("work claimed", `\[WorkerPull\] Claimed work (\S+): (\S+) \(source: ([^)]*)\)`, (*translator).workClaimed, "Claimed work "),
		line("work skipped by policy", `Skipping selfplay work (\S+): (selfplay_enabled=false)`, (*translator).workSkipped, "Skipping selfplay work "),
		line("stale pending removed", `Removing stale PENDING item: (\S+) \(age: ([\d.]+)h\)`, (*translator).workStale, "Removing stale PENDING"),
		line("rejected at hard limit", `\[BACKPRESSURE\] Queue at hard limit \((\d+)/(\d+)\)\. Work item (\S+) rejected`, (*translator).workRefused, "Queue at hard limit"),
		// "Global backpressure" is a bus repeating itself to other processes, not an observation.
		unless("Global backpressure", line("backpressure activated", `[Bb]ackpressure activated(?:: (\S+) \((\w+)\)| on (\S+): level=(\w+)(?:, reason=(.*))?|: source=(\S+), level=(\w+)| \((\S+)\): queue=(\d+))?`, (*translator).pressureOn, "ackpressure activated")),
		unless("Global backpressure", line("backpressure released", `[Bb]ackpressure released(?: on (\S+)|: source=(\S+)|: queue=(\d+)|: (\S+))?`, (*translator).pressureOff, "ackpressure released")),
		line("host online", `\[job_manager\] HOST_ONLINE: ([^,\s]+)`, (*translator).hostOnline, "[job_manager] HOST_ONLINE"),
		line("host offline", `HOST_OFFLINE: (\S+), cancelling jobs`, (*translator).hostOffline, "HOST_OFFLINE: "),
		line("peer dead", `Peer (\S+) is dead \(no heartbeat for (\d+)s\)`, (*translator).peerDead, " is dead (no heartbeat"),
		line("retiring peer", `Retiring peer (\S+) \(offline for (\d+)s\)`, (*translator).retiring, "Retiring peer "),
		line("node dead retired", `P2P_NODE_DEAD: ([^,\s]+), reason=retired`, (*translator).retiredEcho, "P2P_NODE_DEAD: "),
		line("marked unhealthy retired", `Marked (\S+) as unhealthy: retired`, (*translator).retiredEcho, " as unhealthy: retired"),
		line("reconnected", `Reconnected to dead peer (\S+) \(was dead for ([\d.]+)s\)`, (*translator).reconnected, "Reconnected to dead peer "),
		line("recovered by probe", `Recovered retired peer via probe: (\S+)`, (*translator).probed, "Recovered retired peer via probe"),
		line("node unhealthy failures", `Node (\S+) unhealthy \((\d+) consecutive failures\): layer=([^,\s]+)(?:, error=(.*))?`, (*translator).nodeUnhealthy, " consecutive failures): layer="),
		line("swim transition", `STATE CHANGE: Member (\S+) transitioned from (\S+) to (\S+) \(inc=(\d+)\)`, (*translator).swimMember, "STATE CHANGE: Member "),
		line("voter online", `\[VoterHealth\] Voter (\S+) came ONLINE \((\d+)/(\d+) alive, quorum=(\d+)\)`, (*translator).voterOnline, " came ONLINE ("),
		line("voter offline", `\[VoterHealth\] Voter (\S+) went OFFLINE \((\d+)/(\d+) alive, quorum=(\d+)\)`, (*translator).voterOffline, " went OFFLINE ("),
		line("split brain", `\[SplitBrain\] DETECTED: (\d+) leaders(?: in cluster)?(?:!? ?(?:Leaders)?: \[([^\]]*)\])?(?: \(epoch=(\d+)\))?`, (*translator).splitBrain, "[SplitBrain] DETECTED"),
		line("epoch adopted", `Adopting higher cluster epoch: (\d+) \(was (\d+)\)`, (*translator).epochAdopted, "Adopting higher cluster epoch"),
		line("matches merged", `Merged (\d+) new matches from remote`, (*translator).matchesMerged, " new matches from remote"),
		line("ratings recalculated", `Recalculated (\d+) ratings from (\d+) matches`, (*translator).recalculated, "Recalculated "),
		line("elo loaded", `Loaded existing Elo for (\S+): ([\d.]+) \(model: (.*), games: (\d+)\)`, (*translator).eloLoaded, "Loaded existing Elo for "),
		line("elo progress", `\[EloProgress\] Recorded (\S+): (\S+) @ ([\d.]+) Elo`, (*translator).eloProgress, "[EloProgress] Recorded "),
		line("evaluation queued", `\[EvaluationQueue\] (?:Queued|Added)[^:]*: (\S+)(?: \((\S+)\))?`, (*translator).evaluationQueued, "[EvaluationQueue] "),
		line("evaluation claimed", `Claimed from persistent queue: (\S+)(?: \(([^)\s]+)\))?`, (*translator).evaluationClaimed, "Claimed from persistent queue"),
		line("evaluation reset", `Reset stuck request(?:: (\S+))?`, (*translator).evaluationReset, "Reset stuck request"),
		line("evaluation failed", `Permanently failed: (\S+) - (.*)`, (*translator).evaluationFailed, "Permanently failed"),
		line("zombie", `\[ZombieDetection\] Triggered zombie handler on (\S+) \(zombie for (\d+)s, jobs: (\d+)\)`, (*translator).zombie, "Triggered zombie handler"),
		line("auto start", `Auto-starting (\d+) diverse selfplay processes on idle node (\S+)`, (*translator).autoStart, "Auto-starting "),
		line("auto start failed", `Auto-start on (\S+): (\d+)/(\d+) requests failed`, (*translator).autoStartFailed, "Auto-start on "),
		line("daemon started", `DAEMON_STARTED: (\S+)`, (*translator).daemonStarted, "DAEMON_STARTED: "),
		line("circuit open", `Circuit breaker OPEN for (\S+): (.*)`, (*translator).circuitOpen, "Circuit breaker OPEN for "),
		line("training completed", `Training completed(?:: | for )([^,\s]+)(?: \(loss=([\d.]+), model=([^)]*)\))?`, (*translator).trainingCompleted, "Training completed"),
		line("unknown event type", `Unknown event type: '([^']+)'`, (*translator).unknownEvent, "Unknown event type: "),
		line("dead letter no handler", `\[DLQ\] No handlers registered for (\S+)`, (*translator).noHandler, "[DLQ] No handlers registered"),
		line("training failed", `Training failed(?:: | for )([^,\s:/]+)(?:/([^,\s:]+))?[:,]\s*(.*)`, (*translator).trainingFailed, "Training failed"),
		line("voters counted", `(?i:quorum (?:lost|threatened|at minimum|degraded)): (\d+)/(\d+) voters (?:alive|online)[, (]+(?:need |at threshold of |exactly )?(\d+)`, (*translator).votersCounted, " voters alive", " voters online"),
		line("fail-over", `FAILOVER: (.*)`, (*translator).failover, "- FAILOVER: "),
		line("breaker of a part open", `Circuit(?: breaker)? OPEN(?:ED)?(?: for ([^:\s]+)(?:\s+(.*))?| (\(.*))?$`, (*translator).partOpen, "Circuit OPEN", "Circuit breaker OPEN"),
		line("breaker tripped", `(GLOBAL BREAKER|CATEGORY BREAKER) TRIPPED(?:: (\w+))?! (\d+) restarts.* for (\d+)s`, (*translator).partTripped, " BREAKER TRIPPED"),
		line("breaker of a part closed", `(?:Category (\w+)|Global|[Cc]ircuit(?: breaker)?) (?:breaker )?(?:closed|CLOSED)(?: for ([^:\s]+)| after [\d.]+s cooldown)`, (*translator).partClosed, "breaker closed", "CLOSED for ", "closed for "),
		line("poller resume", `\[(\w*Poller)\] Resuming from event_id (\d+)`, (*translator).pollerResume, " Resuming from event_id "),

		prepares(context("who reported a leader", `\[SplitBrain\] Leader '([^']+)' reported by: \[([^\]]*)\]`, (*translator).leaderReport, "[SplitBrain] Leader ")),
		context("split brain healed", `\[SplitBrain\] Partition HEALED after ([\d.]+) minutes`, (*translator).splitBrainHealed, "[SplitBrain] Partition HEALED"),
		context("leader believed", `\[LeaderSet\] (\w+)->(\w+), leader_id=(\S+)->([^,\s]+), reason=(\S+)`, (*translator).leaderBelieved, "[LeaderSet] "),
		context("no leader", `\[WorkerPull\] Partition (DETECTED - no leader|HEALED - leader recovered)`, (*translator).leaderless, "[WorkerPull] Partition "),
		context("no leader for", `\(no_leader_duration=(\d+)s\)`, (*translator).leaderlessFor, "(no_leader_duration="),
		prepares(context("node named", `(?:Auto-detected node-id: |node_id=|initialized: node=)([^,\s]+)`, (*translator).nodeNamed, "Auto-detected node-id: ", "node_id=", "initialized: node=")),

		rest(line("critical", `^(?:\S+ \S+ - (.+?) - CRITICAL - |CRITICAL:([\w.]+):)(.*)`, (*translator).critical, " - CRITICAL - ", "CRITICAL:")),
	}
})

// names parses the inside of a printed list: 'a', 'b'.
func names(list string) []string {
	var found []string
	for part := range strings.SplitSeq(list, ",") {
		if name := strings.Trim(strings.TrimSpace(part), `'"`); name != "" {
			found = append(found, name)
		}
	}
	return found
}
