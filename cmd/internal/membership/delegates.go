package membership

import (
	"strings"

	"github.com/hashicorp/memberlist"
)

// NodeMeta returns the metadata of this node, nil if it is longer than limit bytes.
func (m *Member) NodeMeta(limit int) []byte {
	encoded := m.encodeMeta()
	if len(encoded) > limit {
		return nil
	}
	return encoded
}

// NotifyMsg does nothing: members exchange no messages of their own.
func (m *Member) NotifyMsg([]byte) {}

// GetBroadcasts returns nothing.
func (m *Member) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState returns nothing.
func (m *Member) LocalState(bool) []byte { return nil }

// MergeRemoteState does nothing.
func (m *Member) MergeRemoteState([]byte, bool) {}

// NotifyConflict logs that two members have the same name.
func (m *Member) NotifyConflict(existing, other *memberlist.Node) {
	m.config.Logger.Warn("two members have one name", "name", existing.Name, "address", existing.Address(), "other", other.Address())
}

// AckPayload returns nothing.
func (m *Member) AckPayload() []byte { return nil }

// logLines is the log of the library. Suspicions, and packets that the library refuses,
// are seen there only.
type logLines struct{ m *Member }

// Write counts what a line reports and passes it to the node's log.
func (l logLines) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	_, said, _ := strings.Cut(text, "memberlist: ")
	if name, rest, found := strings.Cut(strings.TrimPrefix(said, "Suspect "), " "); found && strings.HasPrefix(said, "Suspect ") && strings.HasPrefix(rest, "has failed") {
		l.m.Suspect(name)
	}
	if strings.HasPrefix(said, "Refuting a suspect") || strings.HasPrefix(said, "Refuting a dead") {
		l.m.mu.Lock()
		l.m.refuted++
		l.m.mu.Unlock()
	}
	if strings.HasPrefix(text, "[ERR]") && strings.Contains(said, " from=") { // the packet or connection was not from a member
		l.m.link.refused.Add(1)
	}
	if strings.HasPrefix(text, "[WARN]") {
		l.m.config.Logger.Info(said)
	} else {
		l.m.config.Logger.Debug(text)
	}
	return len(line), nil
}
