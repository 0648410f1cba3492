package gossip

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// Peers is the documents that a node knows, its own among them. It is changed by its
// methods and used by one goroutine at a time.
type Peers struct {
	self  domain.NodeID
	known map[domain.NodeID]entry
	sums  [Buckets]uint64 // of the documents in each range
}

type entry struct {
	document Document
	version  Version
	bucket   int
	sum      uint64 // what it adds to its range
}

// NewPeers knows nothing but what the node says of itself.
func NewPeers(own Document) *Peers {
	p := &Peers{self: own.NodeID, known: map[domain.NodeID]entry{}}
	p.put(own)
	return p
}

func (p *Peers) put(d Document) {
	p.drop(d.NodeID)
	e := entry{document: d, version: d.Version(), bucket: bucketOf(d.NodeID)}
	e.sum = e.version.sum()
	p.known[d.NodeID] = e
	p.sums[e.bucket] += e.sum
}

func (p *Peers) drop(id domain.NodeID) {
	if e, found := p.known[id]; found {
		p.sums[e.bucket] -= e.sum
		delete(p.known, id)
	}
}

// Own is what the node says of itself.
func (p *Peers) Own() Document { return p.known[p.self].document }

// Say changes what the node says of itself; its version grows.
func (p *Peers) Say(own Document) {
	before := p.Own()
	own.NodeID, own.Incarnation, own.Counter = p.self, before.Incarnation, before.Counter+1
	p.put(own)
}

// Len is how many documents are known.
func (p *Peers) Len() int { return len(p.known) }

// Documents gives what is known, by node.
func (p *Peers) Documents() []Document {
	documents := make([]Document, 0, len(p.known))
	for _, e := range p.sorted() {
		documents = append(documents, e.document)
	}
	return documents
}

func (p *Peers) sorted() []entry {
	entries := make([]entry, 0, len(p.known))
	for _, e := range p.known { //purity:ok the list is sorted below
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.document.NodeID, b.document.NodeID) })
	return entries
}

// Latest gives the documents that were said last, at most so many, that are not
// among some.
func (p *Peers) Latest(most int, but []Document) []Document {
	had := map[domain.NodeID]bool{}
	for _, d := range but {
		had[d.NodeID] = true
	}
	entries := slices.DeleteFunc(p.sorted(), func(e entry) bool { return had[e.document.NodeID] })
	slices.SortStableFunc(entries, func(a, b entry) int { return b.document.Time.Compare(a.document.Time) })
	var latest []Document
	for _, e := range entries[:min(most, len(entries))] {
		latest = append(latest, e.document)
	}
	return latest
}

// Rules are what a merge goes by besides the documents.
type Rules struct {
	Now time.Time
	// Retired tells nodes that somebody took out of the cluster: the log says so, and
	// no document revives them. nil: none.
	Retired func(domain.NodeID) bool
}

func (r Rules) retired(id domain.NodeID) bool { return r.Retired != nil && r.Retired(id) }

// Merged is what became of documents.
type Merged struct {
	Applied []Document // that are newer than what was known, by node
	Known   int        // that are not
	Invalid int        // that no node may say
	Retired int        // of nodes that are retired
	Full    int        // for which there was no room
	Refuted bool       // others said of this node what it did not say; it raised its incarnation
}

// Merge takes over documents: the newest of each node, by its own count, stays. The
// order in which documents come, and how often, makes no difference. Where there is
// no room those stay that were said last.
func (p *Peers) Merge(documents []Document, rules Rules) Merged {
	var m Merged
	applied := map[domain.NodeID]bool{}
	for _, d := range documents {
		version := d.Version()
		known, found := p.known[d.NodeID]
		switch {
		case len(d.Faults(rules.Now)) > 0:
			m.Invalid++
		case found && version.Compare(known.version) <= 0:
			m.Known++
		case d.NodeID == p.self:
			own := known.document
			own.Incarnation, own.Counter = d.Incarnation+1, 0
			p.put(own)
			m.Refuted = true
		case rules.retired(d.NodeID):
			m.Retired++
		default:
			p.put(d)
			applied[d.NodeID] = true
		}
	}
	for _, id := range p.excess() {
		p.drop(id)
		delete(applied, id)
		m.Full++
	}
	for id := range applied { //purity:ok the list is sorted below
		m.Applied = append(m.Applied, p.known[id].document)
	}
	slices.SortFunc(m.Applied, func(a, b Document) int { return cmp.Compare(a.NodeID, b.NodeID) })
	return m
}

// excess lists the nodes whose documents there is no room for.
func (p *Peers) excess() []domain.NodeID {
	if len(p.known) <= MaxDocuments {
		return nil
	}
	others := slices.DeleteFunc(p.sorted(), func(e entry) bool { return e.document.NodeID == p.self })
	slices.SortStableFunc(others, func(a, b entry) int { return b.document.Time.Compare(a.document.Time) })
	var excess []domain.NodeID
	for _, e := range others[MaxDocuments-1:] {
		excess = append(excess, e.document.NodeID)
	}
	return excess
}

// Forget drops the documents that are too old or of retired nodes, and tells how many.
func (p *Peers) Forget(rules Rules) int {
	dropped := 0
	for id, e := range p.known { //purity:ok each document is forgotten by itself
		if id != p.self && (e.document.Time.Before(rules.Now.Add(-MaxAge)) || rules.retired(id)) {
			p.drop(id)
			dropped++
		}
	}
	return dropped
}
