package raftlog

import (
	"context"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// applyEntries applies committed entries to the records and returns the outcomes of the
// entries of a proposer. It skips entries that the records have applied already.
func applyEntries(ctx context.Context, records *pebblelog.Log, proposer uint64, entries []*raftpb.Entry) ([]outcome, error) {
	type part struct {
		entry entry
		first int // of its changes
	}
	var parts []part
	var changes []pebblelog.Change
	last := uint64(0)
	for _, e := range entries {
		if e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 || e.GetIndex() <= records.Applied() {
			continue
		}
		decoded, err := decodeEntry(e.GetData())
		if err != nil {
			return nil, domain.Errorf(domain.Corrupt, "entry %d of term %d: %w", e.GetIndex(), e.GetTerm(), err)
		}
		first := len(changes)
		for _, c := range decoded.changes {
			if c.After > 0 {
				c.After += first
			}
			changes = append(changes, c)
		}
		parts = append(parts, part{decoded, first})
		last = e.GetIndex()
	}
	if last == 0 {
		return nil, nil
	}
	written, err := records.Apply(ctx, last, changes)
	if err != nil && records.Applied() < last {
		return nil, err
	}
	var outcomes []outcome
	for _, p := range parts {
		if p.entry.proposer != proposer {
			continue
		}
		o := outcome{number: p.entry.number, err: err}
		if err == nil {
			at := p.first
			for _, n := range p.entry.sections {
				o.sections = append(o.sections, written[at:at+n])
				at += n
			}
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}
