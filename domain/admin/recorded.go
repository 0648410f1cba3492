package admin

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// CriticalLogged: a recorded cluster logged a line of the highest level that is not
// translated to any other event. It is kept so that it is not overlooked.
type CriticalLogged struct {
	Logger  string        `json:"logger"`
	Message string        `json:"message"`
	NodeID  domain.NodeID `json:"node_id"` // the node that logged it
}

func (CriticalLogged) EventType() string     { return "CRITICAL_LOGGED" }
func (CriticalLogged) Home() domain.StreamID { return Stream(DefaultCluster) }

func (e CriticalLogged) Validate() []domain.Fault {
	var c domain.Checks
	c.Text("logger", e.Logger)
	c.Text("message", e.Message)
	c.Name("node_id", string(e.NodeID))
	return c
}

// QuorumObserved: an observer counted the voters that answer, in addition to the
// changes of single voters.
type QuorumObserved struct {
	Alive    int           `json:"alive"`
	Voters   int           `json:"voters"` // configured
	Quorum   int           `json:"quorum"` // as computed by the observer
	Observer domain.NodeID `json:"observer"`
}

func (QuorumObserved) EventType() string     { return "QUORUM_OBSERVED" }
func (QuorumObserved) Home() domain.StreamID { return ClusterStream(DefaultCluster) }

func (e QuorumObserved) Validate() []domain.Fault {
	var c domain.Checks
	domain.Within(&c, "voters", e.Voters, 1, maxVoters)
	domain.Within(&c, "alive", e.Alive, 0, max(e.Voters, 0))
	domain.Within(&c, "quorum", e.Quorum, 1, maxVoters)
	c.Name("observer", string(e.Observer))
	return c
}

// maxVoters limits the counts in a report of a quorum.
const maxVoters = 100_000

// StandbyTookOver: a standby of a recorded cluster took over by itself.
type StandbyTookOver struct {
	NodeID domain.NodeID `json:"node_id"` // the new active node
	Reason string        `json:"reason"`
}

func (StandbyTookOver) EventType() string     { return "STANDBY_TOOK_OVER" }
func (StandbyTookOver) Home() domain.StreamID { return Stream(DefaultCluster) }

func (e StandbyTookOver) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("node_id", string(e.NodeID))
	c.Text("reason", e.Reason)
	return c
}

// RecordingGap: nothing was recorded between two times, after one recording ended
// and before the next one started. What happened in between is unknown.
type RecordingGap struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Before string    `json:"before,omitempty"` // the recording that ended
	After  string    `json:"after"`            // the recording that started
}

func (RecordingGap) EventType() string     { return "RECORDING_GAP" }
func (RecordingGap) Home() domain.StreamID { return Stream(DefaultCluster) }

func (e RecordingGap) Validate() []domain.Fault {
	var c domain.Checks
	if e.From.IsZero() || !e.Until.After(e.From) {
		c.Fault("until", "want a time after from")
	}
	c.Text("after", e.After)
	return c
}

// recordedEvents returns the catalogue entries of events that only occur in
// recordings of other clusters.
func recordedEvents() []domain.Def {
	return []domain.Def{
		domain.Define[CriticalLogged](1, "admin", "a recorded cluster wrote a critical line that says nothing else here"),
		domain.Define[QuorumObserved](1, "cluster", "an observer counted the voters that answer"),
		domain.Define[StandbyTookOver](1, "admin", "a standby of a recorded cluster took over by itself"),
		domain.Define[RecordingGap](1, "admin", "nothing was recorded between the end of one recording and the beginning of the next"),
	}
}
