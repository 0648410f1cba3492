package raftlog

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"

	"github.com/ringrift/rift/domain"
)

// confirm asks a majority whether this node leads and calls done once.
func (r *replica) confirm(done func(error)) {
	if r.raw.BasicStatus().RaftState != raft.StateLeader {
		done(r.notLeader())
		return
	}
	if len(r.reads) >= maxReads {
		done(domain.Errorf(domain.TooMany, "%d confirmations of leadership wait already", len(r.reads)))
		return
	}
	r.number++
	r.reads[r.number] = done
	r.raw.ReadIndex(binary.BigEndian.AppendUint64(nil, r.number))
}

func (r *replica) confirmed(read raft.ReadState) {
	if len(read.RequestCtx) != 8 {
		return
	}
	id := binary.BigEndian.Uint64(read.RequestCtx)
	if done, waits := r.reads[id]; waits {
		delete(r.reads, id)
		done(nil)
	}
}
