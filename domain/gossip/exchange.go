package gossip

import (
	"github.com/ringrift/rift/domain"
)

// The bounds of one message.
const (
	MaxTold     = 512 // documents
	MaxVersions = MaxDocuments
	Pushed      = 16 // documents of a push, and of its answer

	maxToldBytes = 256 << 10 // about, of documents: what is left out is told next time
)

// Ask is one step of an exchange that brings two nodes to the same documents: first
// Root alone; then, of the ranges that differ, Versions; then the Documents that were
// wanted. Each step stands for itself.
type Ask struct {
	NodeID    domain.NodeID `json:"node_id" doc:"who asks"`
	Cluster   string        `json:"cluster,omitempty" doc:"of another one nothing is taken"`
	Root      string        `json:"root,omitempty"`
	Buckets   []int         `json:"buckets,omitempty"`
	Versions  []Version     `json:"versions,omitempty"`
	Documents []Document    `json:"documents,omitempty"`
}

// Answer is what the other node has to that.
type Answer struct {
	Same      bool            `json:"same,omitempty" doc:"the roots are equal"`
	Digests   Digests         `json:"digests,omitempty"`
	Documents []Document      `json:"documents,omitempty"`
	Wanted    []domain.NodeID `json:"wanted,omitempty"`
	Applied   int             `json:"applied,omitempty" doc:"documents that were new"`
}

// Faults names what is wrong with a step.
func (a Ask) Faults() []domain.Fault {
	var c domain.Checks
	c.Name("node_id", string(a.NodeID))
	if len(a.Buckets) > Buckets {
		c.Fault("buckets", "want at most %d, found %d", Buckets, len(a.Buckets))
	}
	for _, bucket := range a.Buckets {
		if bucket < 0 || bucket >= Buckets {
			c.Fault("buckets", "want 0 to %d, found %d", Buckets-1, bucket)
			break
		}
	}
	if len(a.Versions) > MaxVersions {
		c.Fault("versions", "want at most %d, found %d", MaxVersions, len(a.Versions))
	}
	if len(a.Documents) > MaxTold {
		c.Fault("documents", "want at most %d, found %d", MaxTold, len(a.Documents))
	}
	return c
}

// Answer carries out a step and answers it.
func (p *Peers) Answer(ask Ask, rules Rules) (Answer, Merged) {
	var answer Answer
	var merged Merged
	if len(ask.Documents) > 0 {
		merged = p.Merge(ask.Documents, rules)
		answer.Applied = len(merged.Applied)
	}
	if len(ask.Buckets) > 0 {
		answer.Documents, answer.Wanted = p.Compare(ask.Buckets, ask.Versions, MaxTold)
		answer.Wanted = answer.Wanted[:min(len(answer.Wanted), MaxTold)]
	}
	if ask.Root != "" {
		if digests := p.Digests(); digests.Root() == ask.Root {
			answer.Same = true
		} else {
			answer.Digests = digests
		}
	}
	return answer, merged
}

// Reconcile brings the documents of this node and of another to the same state, as
// far as one exchange can, by asking it step after step. What merged is told to heard.
func (p *Peers) Reconcile(cluster string, rules Rules, ask func(Ask) (Answer, error), heard func(Merged)) error {
	first, err := ask(Ask{NodeID: p.self, Cluster: cluster, Root: p.Digests().Root()})
	if err != nil || first.Same {
		return err
	}
	differ := p.Digests().Differ(first.Digests)
	if len(differ) == 0 {
		return nil // it became the same meanwhile
	}
	versions := p.Versions(differ)
	second, err := ask(Ask{NodeID: p.self, Cluster: cluster, Buckets: differ, Versions: versions[:min(len(versions), MaxVersions)]})
	if err != nil {
		return err
	}
	wanted := p.Of(second.Wanted, MaxTold)
	heard(p.Merge(second.Documents[:min(len(second.Documents), MaxTold)], rules))
	if len(wanted) == 0 {
		return nil
	}
	_, err = ask(Ask{NodeID: p.self, Cluster: cluster, Documents: wanted})
	return err
}
