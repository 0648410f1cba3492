package recorded

import (
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
)

// nodeSays emits an event that changes a node's level.
func (f *translator) nodeSays(at stamped, name string, to level, event domain.Event) error {
	node := f.nodes[name]
	node.setByLine(to, at.at)
	if to == online {
		node.since = at.at
	}
	return f.say(at, domain.NodeID(name).Stream(), event)
}

// online emits an event for a node that was not online.
func (f *translator) online(at stamped, name string, event domain.Event) error {
	node, err := f.nodeOf(name, at.at)
	if err != nil {
		return err
	}
	if node.level == online {
		return f.known(at, "the node was online")
	}
	return f.nodeSays(at, name, online, event)
}

func (f *translator) hostOnline(at stamped, g []string) error {
	return f.online(at, g[1], nodes.HostOnline{NodeID: domain.NodeID(g[1])})
}

// retiring handles the first report of a retirement, which three subscribers repeat.
func (f *translator) retiring(at stamped, g []string) error {
	silent, err := seconds(g[2])
	if err != nil {
		return f.unusable(at, err.Error())
	}
	return f.retire(at, g[1], nodes.HostOffline{NodeID: domain.NodeID(g[1]), Reason: "retired", SilentSeconds: silent})
}

func (f *translator) retiredEcho(at stamped, g []string) error {
	return f.retire(at, g[1], nodes.HostOffline{NodeID: domain.NodeID(g[1]), Reason: "retired"})
}

func (f *translator) hostOffline(at stamped, g []string) error {
	return f.retire(at, g[1], nodes.HostOffline{NodeID: domain.NodeID(g[1]), Reason: "offline"})
}

func (f *translator) retire(at stamped, name string, event nodes.HostOffline) error {
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

func (f *translator) peerDead(at stamped, g []string) error {
	silent, err := seconds(g[2])
	if err != nil {
		return f.unusable(at, err.Error())
	}
	return f.becomeUnhealthy(at, nodes.Unhealthy{NodeID: domain.NodeID(g[1]), Reason: "heartbeat", SilentSeconds: silent})
}

func (f *translator) nodeUnhealthy(at stamped, g []string) error {
	failures, err := strconv.Atoi(g[2])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	reason := g[3]
	if g[4] != "" {
		reason += ": " + clip(g[4], 200)
	}
	return f.becomeUnhealthy(at, nodes.Unhealthy{NodeID: domain.NodeID(g[1]), Reason: reason, ConsecutiveFailures: failures})
}

// becomeUnhealthy emits that a node is unhealthy, unless it is known to be unhealthy or
// offline.
func (f *translator) becomeUnhealthy(at stamped, event nodes.Unhealthy) error {
	node, err := f.nodeOf(string(event.NodeID), at.at)
	if err != nil {
		return err
	}
	if node.level == unhealthy || node.level == offline {
		return f.known(at, "the node was "+string(node.level))
	}
	return f.nodeSays(at, string(event.NodeID), unhealthy, event)
}

// reconnected handles a line that says that a node was silent for a time and is back. If
// the node counted as online since before the silence, it emits both its loss and its
// recovery; if it has come online since the silence began, the line is not news.
func (f *translator) reconnected(at stamped, g []string) error {
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

func (f *translator) probed(at stamped, g []string) error {
	return f.online(at, g[1], nodes.Recovered{NodeID: domain.NodeID(g[1])})
}

func (f *translator) zombie(at stamped, g []string) error {
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

func (f *translator) autoStart(at stamped, g []string) error {
	if domain.CheckName(g[2]) != nil {
		return f.unusable(at, "names no node")
	}
	count, err := strconv.Atoi(g[1])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, domain.NodeID(g[2]).Stream(), nodes.Autostarted{NodeID: domain.NodeID(g[2]), Count: count})
}

func (f *translator) autoStartFailed(at stamped, g []string) error {
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

func (f *translator) swimMember(at stamped, g []string) error {
	incarnation, err := strconv.ParseUint(g[4], 10, 64)
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, f.cluster(), swim.MemberChanged{
		Member: g[1], From: swim.State(strings.ToLower(g[2])), To: swim.State(strings.ToLower(g[3])),
		Incarnation: incarnation, Observer: f.node,
	})
}
