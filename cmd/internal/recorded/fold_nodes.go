package recorded

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
)

// nodeSays is an edge of a node, to a new level.
func (f *folder) nodeSays(at stamped, name string, to level, event domain.Event) error {
	node := f.nodes[name]
	node.level = to
	if to == online {
		node.since = at.at
	}
	return f.say(at, domain.NodeID(name).Stream(), event)
}

// online is an edge only for a node that was not online.
func (f *folder) online(at stamped, name string, event domain.Event) error {
	node, err := f.nodeOf(name, at.at)
	if err != nil {
		return err
	}
	if node.level == online {
		return f.known(at, "the node was online")
	}
	return f.nodeSays(at, name, online, event)
}

func (f *folder) hostOnline(at stamped, g []string) error {
	return f.online(at, g[1], nodes.HostOnline{NodeID: domain.NodeID(g[1])})
}

// retiring is the first report of a retirement; three subscribers repeat it.
func (f *folder) retiring(at stamped, g []string) error {
	silent, err := seconds(g[2])
	if err != nil {
		return f.unusable(at, err.Error())
	}
	return f.retire(at, g[1], nodes.HostOffline{NodeID: domain.NodeID(g[1]), Reason: "retired", SilentSeconds: silent})
}

func (f *folder) retiredEcho(at stamped, g []string) error {
	return f.retire(at, g[1], nodes.HostOffline{NodeID: domain.NodeID(g[1]), Reason: "retired"})
}

func (f *folder) hostOffline(at stamped, g []string) error {
	return f.retire(at, g[1], nodes.HostOffline{NodeID: domain.NodeID(g[1]), Reason: "offline"})
}

func (f *folder) retire(at stamped, name string, event nodes.HostOffline) error {
	node, err := f.nodeOf(name, at.at)
	if err != nil {
		return err
	}
	if node.level == offline {
		return f.known(at, "the node was offline")
	}
	if !node.retired.IsZero() && at.at.Sub(node.retired) < echoWindow {
		return f.known(at, "another subscriber's report of the same retirement")
	}
	node.retired = at.at
	return f.nodeSays(at, name, offline, event)
}

func (f *folder) peerDead(at stamped, g []string) error {
	silent, err := seconds(g[2])
	if err != nil {
		return f.unusable(at, err.Error())
	}
	node, err := f.nodeOf(g[1], at.at)
	if err != nil {
		return err
	}
	if node.level == unhealthy || node.level == offline {
		return f.known(at, "the node was "+string(node.level))
	}
	return f.nodeSays(at, g[1], unhealthy, nodes.Unhealthy{NodeID: domain.NodeID(g[1]), Reason: "heartbeat", SilentSeconds: silent})
}

func (f *folder) nodeUnhealthy(at stamped, g []string) error {
	failures, err := strconv.Atoi(g[2])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	node, err := f.nodeOf(g[1], at.at)
	if err != nil {
		return err
	}
	if node.level == unhealthy || node.level == offline {
		return f.known(at, "the node was "+string(node.level))
	}
	reason := g[3]
	if g[4] != "" {
		reason += ": " + clip(g[4], 200)
	}
	return f.nodeSays(at, g[1], unhealthy, nodes.Unhealthy{NodeID: domain.NodeID(g[1]), Reason: reason, ConsecutiveFailures: failures})
}

// reconnected says two things: the node was silent for so long, and is not any
// more. Where nobody had said the first, both become facts; where the node came
// back in the meantime, neither is news.
func (f *folder) reconnected(at stamped, g []string) error {
	silent, err := seconds(g[2])
	if err != nil {
		return f.unusable(at, err.Error())
	}
	node, err := f.nodeOf(g[1], at.at)
	if err != nil {
		return err
	}
	if node.level == online {
		if node.since.After(at.at.Add(-silent.Duration())) {
			return f.known(at, "the node was back already")
		}
		if err := f.nodeSays(at, g[1], unhealthy, nodes.Unhealthy{NodeID: domain.NodeID(g[1]), Reason: "heartbeat", SilentSeconds: silent}); err != nil {
			return err
		}
	}
	return f.nodeSays(at, g[1], online, nodes.Recovered{NodeID: domain.NodeID(g[1]), RecoveryTimeSeconds: silent})
}

func (f *folder) probed(at stamped, g []string) error {
	return f.online(at, g[1], nodes.Recovered{NodeID: domain.NodeID(g[1])})
}

func (f *folder) zombie(at stamped, g []string) error {
	if domain.CheckName(g[1]) != nil {
		return f.unusable(at, "names no node")
	}
	since, err := seconds(g[2])
	jobs, err2 := strconv.Atoi(g[3])
	if err != nil || err2 != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, domain.NodeID(g[1]).Stream(), nodes.ZombieDetected{NodeID: domain.NodeID(g[1]), ZombieSeconds: since, Jobs: jobs})
}

func (f *folder) autoStart(at stamped, g []string) error {
	if domain.CheckName(g[2]) != nil {
		return f.unusable(at, "names no node")
	}
	count, err := strconv.Atoi(g[1])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, domain.NodeID(g[2]).Stream(), nodes.Autostarted{NodeID: domain.NodeID(g[2]), Count: count})
}

func (f *folder) autoStartFailed(at stamped, g []string) error {
	if domain.CheckName(g[1]) != nil {
		return f.unusable(at, "names no node")
	}
	failed, err := strconv.Atoi(g[2])
	requested, err2 := strconv.Atoi(g[3])
	if err != nil || err2 != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, domain.NodeID(g[1]).Stream(), nodes.AutostartFailed{NodeID: domain.NodeID(g[1]), Failed: failed, Requested: requested})
}

func (f *folder) circuitOpen(at stamped, g []string) error {
	if domain.CheckName(g[1]) != nil {
		return f.unusable(at, "names no node")
	}
	return f.say(at, domain.NodeID(g[1]).Stream(), nodes.BreakerOpened{NodeID: domain.NodeID(g[1]), Target: clip(g[2], 200)})
}

func (f *folder) swimMember(at stamped, g []string) error {
	incarnation, err := strconv.ParseUint(g[4], 10, 64)
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, f.cluster(), swim.MemberChanged{
		Member: g[1], From: swim.State(strings.ToLower(g[2])), To: swim.State(strings.ToLower(g[3])),
		Incarnation: incarnation, Observer: f.node,
	})
}

func (f *folder) voterOnline(at stamped, g []string) error {
	return f.voter(at, g, true)
}

func (f *folder) voterOffline(at stamped, g []string) error {
	return f.voter(at, g, false)
}

func (f *folder) voter(at stamped, g []string, up bool) error {
	var counts [3]int
	for i := range counts {
		var err error
		if counts[i], err = strconv.Atoi(g[2+i]); err != nil {
			return f.unusable(at, "number out of range")
		}
	}
	was, seen, err := f.voterOf(g[1], f.election(), at.at)
	if err != nil {
		return err
	}
	if seen && was == up {
		return f.known(at, "the voter was in that state")
	}
	f.voters[g[1]] = up
	if up {
		return f.say(at, f.election(), election.VoterOnline{Voter: domain.NodeID(g[1]), Alive: counts[0], Voters: counts[1], Quorum: counts[2]})
	}
	return f.say(at, f.election(), election.VoterOffline{Voter: domain.NodeID(g[1]), Alive: counts[0], Voters: counts[1], Quorum: counts[2]})
}

func (f *folder) epochAdopted(at stamped, g []string) error {
	term, err := strconv.ParseUint(g[1], 10, 64)
	previous, err2 := strconv.ParseUint(g[2], 10, 64)
	if err != nil || err2 != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, f.election(), election.TermAdopted{Term: term, Previous: previous, By: f.node})
}

// splitBrain is said twice: by the loop that detected it, and, behind the lines
// that say whose word it is, by the orchestrator. Both are kept as evidence;
// the second carries the words.
func (f *folder) splitBrain(at stamped, g []string) error {
	observed := election.LeadersObserved{Leaders: []domain.NodeID{}, Observer: f.node, Reason: "split brain detected", Reports: f.reports}
	f.reports = nil
	for _, name := range names(g[2]) {
		observed.Leaders = append(observed.Leaders, domain.NodeID(name))
	}
	if len(observed.Leaders) == 0 {
		return f.unusable(at, "names no leaders")
	}
	if term, err := strconv.ParseUint(g[3], 10, 64); err == nil && g[3] != "" {
		observed.Term = &term
	}
	return f.say(at, f.election(), observed)
}

// leaderReport keeps whose word it is for the line that follows.
func (f *folder) leaderReport(_ stamped, g []string) error {
	if len(f.reports) < 16 {
		f.reports = append(slices.Clip(f.reports), election.LeaderReport{Leader: domain.NodeID(g[1]), Reporters: names(g[2])})
	}
	return nil
}

func (f *folder) splitBrainHealed(at stamped, g []string) error {
	minutes, err := strconv.ParseFloat(g[1], 64)
	if err != nil {
		return f.unusable(at, "duration is no number")
	}
	f.reports = nil
	return f.say(at, f.election(), election.SplitBrainHealed{Observer: f.node, DurationSeconds: domain.Seconds(minutes * 60)})
}

// leaderBelieved is the observer changing its mind about who leads.
func (f *folder) leaderBelieved(at stamped, g []string) error {
	const nobody = "None"
	if g[3] == g[4] {
		return f.known(at, "the leader was believed already")
	}
	observed := election.LeadersObserved{Leaders: []domain.NodeID{}, Observer: f.node, Reason: g[5]}
	if g[4] != nobody {
		observed.Leaders = append(observed.Leaders, domain.NodeID(g[4]))
	}
	if g[3] != nobody {
		observed.Previous = domain.NodeID(g[3])
	}
	return f.say(at, f.election(), observed)
}
