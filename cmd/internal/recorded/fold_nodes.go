package recorded

import (
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
)

// nodeSays is an edge of a node, to a new level.
func (f *folder) nodeSays(at stamped, name string, to level, event domain.Event) error {
	node := f.nodes[name]
	node.says(to, at.at)
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
	return f.ill(at, nodes.Unhealthy{NodeID: domain.NodeID(g[1]), Reason: "heartbeat", SilentSeconds: silent})
}

func (f *folder) nodeUnhealthy(at stamped, g []string) error {
	failures, err := strconv.Atoi(g[2])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	reason := g[3]
	if g[4] != "" {
		reason += ": " + clip(g[4], 200)
	}
	return f.ill(at, nodes.Unhealthy{NodeID: domain.NodeID(g[1]), Reason: reason, ConsecutiveFailures: failures})
}

// ill records that a node is unhealthy, unless it is known to be that or worse.
func (f *folder) ill(at stamped, event nodes.Unhealthy) error {
	node, err := f.nodeOf(string(event.NodeID), at.at)
	if err != nil {
		return err
	}
	if node.level == unhealthy || node.level == offline {
		return f.known(at, "the node was "+string(node.level))
	}
	return f.nodeSays(at, string(event.NodeID), unhealthy, event)
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
