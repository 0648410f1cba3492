package elector_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
)

// Under kills, partitions and restarts only the leader of the newest term appends, and a
// leader that is cut off steps down by itself.
func TestOnlyTheLeaderAppends(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			p := newParty(t, 3+2*int(seed%2))
			defer p.end()
			over := make(chan struct{})
			var writers sync.WaitGroup
			var stored atomic.Int64
			for _, id := range p.ids() {
				writers.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-over:
							return
						case <-time.After(lease / 20):
						}
						m := p.members[id]
						if m.served.Load() != nil && m.append(fmt.Sprintf("%s/%d", id, n)) == nil {
							stored.Add(1)
						}
					}
				})
			}
			for range 12 {
				<-time.After(time.Duration(random.Int64N(int64(3 * lease))))
				ids := p.ids()
				random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
				if m := p.leader(); m != nil { // the leader is the one that may be cut off
					at := slices.Index(ids, m.id)
					ids[0], ids[at] = ids[at], ids[0]
				}
				switch random.IntN(3) {
				case 0:
					p.split(ids[:1], ids[1:])
				case 1:
					p.split(ids[:len(ids)/2], ids[len(ids)/2:])
				default:
					p.split(ids)
				}
			}
			p.split(p.ids())
			p.settle()
			close(over)
			writers.Wait()
			if leaders := p.check(); leaders < 2 || stored.Load() < 10 {
				t.Errorf("seed %d: want some leaders and appends, found %d and %d", seed, leaders, stored.Load())
			}
		})
	}
}

// After a leader was killed, another node is elected when its lease has ended; after one
// that resigned, at once.
func TestSomebodyFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 3)
		defer p.end()
		first := p.settle()
		term := first.Leader().Term
		if err := first.ConfirmLeader(t.Context()); err != nil {
			t.Fatal(err)
		}
		changes := first.Changes()
		first.kill()
		killed := time.Now()
		second := p.settle()
		if second == first || second.Leader().Term <= term {
			t.Fatalf("want another leader in a newer term than %d, found %+v", term, second.Leader())
		}
		if took := time.Since(killed); took > 3*lease {
			t.Errorf("want another leader within three leases, took %v", took)
		}
		first.start() // its ballot did not change
		<-time.After(5 * lease)
		if p.leader() != second {
			t.Errorf("want the leader as it was once %s is back", first.id)
		}
		_ = changes
		resigned := time.Now()
		second.Resign(t.Context())
		if second.Leader().Self {
			t.Error("want no leadership after resigning")
		}
		p.settle()
		if took := time.Since(resigned); took > lease/2 {
			t.Errorf("want a handover within half a lease, took %v", took)
		}
		p.check()
	})
}

// Voters are not released while an append of the leader that resigns is in progress.
func TestWhoResignsWaitsForAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 3)
		defer p.end()
		leader := p.settle()
		<-time.After(lease) // all members have received a heartbeat
		p.log.stalled.Store(true)
		appended, resigned := make(chan error, 1), make(chan struct{})
		go func() { appended <- leader.append("slow") }()
		synctest.Wait()
		go func() { leader.Resign(t.Context()); close(resigned) }()
		<-time.After(lease / 10)
		for id, m := range p.members {
			if bound, _, _ := m.Voter.Bound(); bound != leader.id {
				t.Errorf("want %s bound to %s, found %q", id, leader.id, bound)
			}
		}
		if err := <-appended; err == nil {
			t.Error("want the append to end with the lease")
		}
		<-resigned
		p.log.stalled.Store(false)
		p.settle()
		p.check()
	})
}

// Without a majority no node leads, errors of commands name the voters that do not answer,
// and the leader that was cut off cannot confirm that it leads.
func TestWithoutAMajorityNobodyLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 3)
		defer p.end()
		leader := p.settle()
		changes := leader.Changes()
		var others []domain.NodeID
		for _, id := range p.ids() {
			if id != leader.id {
				others = append(others, id)
			}
		}
		p.split([]domain.NodeID{others[0]}, []domain.NodeID{others[1]}, []domain.NodeID{leader.id})
		if err := leader.ConfirmLeader(t.Context()); err == nil {
			t.Error("want no confirmation without a majority")
		}
		<-changes
		if leader.Leader().Self {
			t.Fatal("want the leader to notice that it is alone")
		}
		<-time.After(10 * lease)
		if m := p.leader(); m != nil {
			t.Fatalf("want no leader without a majority, found %s", m.id)
		}
		err := leader.append("late")
		if domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("want unavailable, found %v", err)
		}
		for _, id := range others {
			if err == nil || !strings.Contains(err.Error(), string(id)) {
				t.Errorf("want the missing voter %s named, found %v", id, err)
			}
		}
		p.split(p.ids())
		p.settle()
		p.check()
	})
}

// An append that hangs ends before another node can lead.
func TestAnAppendEndsWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 3)
		defer p.end()
		leader := p.settle()
		p.log.stalled.Store(true)
		hung := make(chan error, 1)
		go func() { hung <- leader.append("hung") }()
		synctest.Wait()
		var others []domain.NodeID
		for _, id := range p.ids() {
			if id != leader.id {
				others = append(others, id)
			}
		}
		p.split([]domain.NodeID{leader.id}, others)
		err := <-hung
		p.log.stalled.Store(false)
		if domain.CodeOf(err) != domain.Unavailable || !strings.Contains(err.Error(), "may be stored") {
			t.Errorf("want it said that the append may be stored, found %v", err)
		}
		if next := p.settle(); next == leader {
			t.Errorf("want another leader than %s, which is cut off", leader.id)
		}
		p.check()
	})
}

// A second process that leads by the log stops the first one, even during its lease: two
// nodes were given different lists of voters.
func TestTheLogHasTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(t, 1)
		defer p.end()
		leader := p.settle()
		if err := leader.append("before"); err != nil {
			t.Fatal(err)
		}
		_, _, data, err := p.catalog.Encode(election.LeaderChanged{Leader: "stranger", Term: leader.Leader().Term + 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.log.Memory.Append(t.Context(), election.Stream("main"), domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID("stranger", 0), Type: "LEADER_CHANGED", Version: 1, Time: time.Now(), Data: data,
		}); err != nil {
			t.Fatal(err)
		}
		err = leader.append("after")
		if err == nil || leader.Leader().Self {
			t.Errorf("want the append refused and the leader stopped, found %v, %+v", err, leader.Leader())
		}
		p.check()
		for _, w := range leader.fenced.AppendMany(t.Context(), []eventlog.Write{{Stream: "node-x", Expected: domain.AnyRevision, Events: []eventlog.Proposed{{ID: domain.DeriveID("many", 0), Type: "X", Version: 1}}}}) {
			if w.Err == nil {
				t.Error("want every write refused")
			}
		}
	})
}
