package membership

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/swim"
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

// NotifyAlive refuses members whose names or addresses nobody may have, and more
// than there is room for.
func (m *Member) NotifyAlive(n *memberlist.Node) error {
	if err := domain.CheckName(n.Name); err != nil {
		return domain.Errorf(domain.Invalid, "member %q: %w", domain.Clip(n.Name, 64), err)
	}
	if _, _, err := readMeta(n.Meta); err != nil {
		return domain.Errorf(domain.Invalid, "member %s: %w", n.Name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[n.Name] == nil && len(m.known) >= maxMembers {
		return domain.Errorf(domain.TooMany, "want at most %d members", maxMembers)
	}
	return nil
}

// readMeta reads what a member says of itself.
func readMeta(encoded []byte) (*url.URL, bool, error) {
	var said meta
	if err := json.Unmarshal(encoded, &said); err != nil {
		return nil, false, domain.Errorf(domain.Invalid, "want an address, found %q", domain.Clip(string(encoded), 64))
	}
	address, err := url.Parse(said.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" || address.User != nil || address.RawQuery != "" {
		return nil, false, domain.Errorf(domain.Invalid, "want an http address, found %q", domain.Clip(said.URL, 64))
	}
	return address, said.Goes, nil
}

// of gives what is known of a member. The lock is held.
func (m *Member) of(name string) *known {
	k := m.known[name]
	if k == nil {
		k = &known{}
		m.known[name] = k
	}
	return k
}

// become changes the state of a member. The lock is held.
func (m *Member) become(k *known, state swim.State) {
	if k.state == state {
		return
	}
	k.state, k.since = state, time.Now()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// NotifyJoin is told of a member that came, or came back.
func (m *Member) NotifyJoin(n *memberlist.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.of(n.Name)
	m.heed(n, k)
	m.become(k, swim.SwimAlive)
}

// heed takes over what a member says of itself. The lock is held.
func (m *Member) heed(n *memberlist.Node, k *known) {
	address, goes, err := readMeta(n.Meta)
	if err != nil {
		return
	}
	k.address, k.goes = address.String(), goes
	m.link.know(n.Name, address)
}

// NotifyUpdate is told of a member that says something else of itself.
func (m *Member) NotifyUpdate(n *memberlist.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heed(n, m.of(n.Name))
}

// NotifyLeave is told of a member that is dead, or left.
func (m *Member) NotifyLeave(n *memberlist.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.of(n.Name)
	if k.goes {
		m.become(k, swim.SwimLeft)
	} else {
		m.become(k, swim.SwimDead)
	}
}

// NotifyConflict is told of two members of one name.
func (m *Member) NotifyConflict(existing, other *memberlist.Node) {
	m.config.Logger.Warn("two members have one name", "name", existing.Name, "address", existing.Address(), "other", other.Address())
}

// AckPayload says nothing besides.
func (m *Member) AckPayload() []byte { return nil }

// NotifyPingComplete is told of a member that answered a probe of this node.
func (m *Member) NotifyPingComplete(n *memberlist.Node, rtt time.Duration, _ []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.of(n.Name)
	k.rtt, k.answered = rtt, time.Now()
	if k.state == swim.SwimSuspect {
		m.become(k, swim.SwimAlive)
	}
	took := float64(rtt) / float64(time.Millisecond)
	mean := took
	if m.probes.MeanRTT != nil {
		mean = *m.probes.MeanRTT + (took-*m.probes.MeanRTT)/64
	}
	m.probes.Answered++
	m.probes.LastRTT, m.probes.MeanRTT = &took, &mean
}

// logLines reads what the library says. Nothing else tells of a suspicion.
type logLines struct{ m *Member }

// Write takes a line.
func (l logLines) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	_, said, _ := strings.Cut(text, "memberlist: ")
	if name, rest, found := strings.Cut(strings.TrimPrefix(said, "Suspect "), " "); found && strings.HasPrefix(said, "Suspect ") && strings.HasPrefix(rest, "has failed") {
		l.m.suspect(name)
	}
	if strings.HasPrefix(said, "Refuting a suspect") || strings.HasPrefix(said, "Refuting a dead") {
		l.m.mu.Lock()
		l.m.refuted++
		l.m.mu.Unlock()
	}
	if strings.HasPrefix(text, "[WARN]") {
		l.m.config.Logger.Info(said)
	} else {
		l.m.config.Logger.Debug(text)
	}
	return len(line), nil
}

func (m *Member) suspect(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[name]
	if k == nil || k.state != swim.SwimAlive {
		return
	}
	k.suspected++
	m.suspects++
	m.become(k, swim.SwimSuspect)
}
