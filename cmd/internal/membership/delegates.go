package membership

import (
	"strings"

	"github.com/hashicorp/memberlist"
)

// NodeMeta is what this node says of itself.
func (m *Member) NodeMeta(limit int) []byte {
	encoded := m.encodeMeta()
	if len(encoded) > limit {
		return nil
	}
	return encoded
}

// NotifyMsg takes nothing: members say no more than that they are there.
func (m *Member) NotifyMsg([]byte) {}

// GetBroadcasts says nothing.
func (m *Member) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState says nothing.
func (m *Member) LocalState(bool) []byte { return nil }

// MergeRemoteState takes nothing.
func (m *Member) MergeRemoteState([]byte, bool) {}

// NotifyConflict is told of two members of one name.
func (m *Member) NotifyConflict(existing, other *memberlist.Node) {
	m.config.Logger.Warn("two members have one name", "name", existing.Name, "address", existing.Address(), "other", other.Address())
}

// AckPayload says nothing besides.
func (m *Member) AckPayload() []byte { return nil }

// logLines reads what the library says. Nothing else tells of a suspicion, or of what the
// library refuses.
type logLines struct{ m *Member }

// Write takes a line.
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
	if strings.HasPrefix(text, "[ERR]") && strings.Contains(said, " from=") { // what came was no member's
		l.m.link.refused.Add(1)
	}
	if strings.HasPrefix(text, "[WARN]") {
		l.m.config.Logger.Info(said)
	} else {
		l.m.config.Logger.Debug(text)
	}
	return len(line), nil
}
