package raftlog

import (
	"context"
	"errors"

	"go.etcd.io/raft/v3"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Stepped is a Log without goroutines and without a clock, for scripts and
// simulations: nothing happens in it but by Tick, Receive and Step, which one
// goroutine calls.
//
// Whoever calls its methods of Log and has to wait for other nodes is handed to
// wait, which returns once ready answers true. How long Raft waits for votes is drawn
// from crypto/rand.Reader by the library.
type Stepped struct{ *Log }

// OpenStepped opens a node's part like Open, for somebody to step through. ticking
// counts for how many ticks things last, not for how long a tick is.
func OpenStepped(dir string, options Options, wait func(ready func() bool)) (*Stepped, error) {
	l, err := build(dir, options)
	if err != nil {
		return nil, err
	}
	l.wait = wait
	return &Stepped{l}, nil
}

// park lets a log that is stepped go on until what its caller waits for is there.
func (l *Log) park(ready func() bool) {
	if l.wait != nil && !ready() {
		l.wait(ready)
	}
}

// Tick lets one tick pass.
func (s *Stepped) Tick() error {
	if s.stopped != nil {
		return s.stopped
	}
	if err := guard(func() error { s.replica.tick(); return nil }); err != nil {
		s.stop(err)
		return err
	}
	return s.Step()
}

// Step does whatever can be done without hearing from other nodes. After an error,
// which is that of a disk or of a state that nobody can go on from, the log has given up.
func (s *Stepped) Step() error {
	for {
		if s.stopped != nil {
			return s.stopped
		}
		if err := guard(s.step); err != nil {
			s.stop(err)
			return err
		}
		if len(s.handed) == 0 {
			return nil
		}
		jobs := s.handed
		s.handed = nil
		for i, j := range jobs {
			outcomes, err := s.once(j)
			if err != nil { // it is tried again with the next step, as the loop would
				s.handed = append(jobs[i:len(jobs):len(jobs)], s.handed...)
				return s.pass()
			}
			s.results = append(s.results, result{j, outcomes})
		}
	}
}

// pass takes what came of jobs so far.
func (s *Stepped) pass() error {
	if err := guard(s.step); err != nil {
		s.stop(err)
		return err
	}
	return nil
}

func (s *Stepped) once(j job) ([]outcome, error) {
	if j.install == nil {
		return applyEntries(context.Background(), s.records, s.replica.proposer, j.apply.GetEntries())
	}
	s.copies++
	return nil, s.copyFrom(context.Background(), j.install, s.copies-1)
}

// Kill ends the log as the end of its process does: whoever waits is told that nobody
// can tell, and nothing more is written but what the files' owner had not asked for.
func (s *Stepped) Kill() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		if s.stopped == nil {
			s.stop(errClosed())
		}
		s.closeErr = errors.Join(s.replica.storage.close(), s.records.Close())
	})
	return s.closeErr
}

// Propose hands a change of the members to Raft and does not wait for what comes of it.
func (s *Stepped) Propose(wishes ...Reconfiguration) error {
	change, err := s.replica.change(Admission{}, wishes)
	if err != nil {
		return err
	}
	if err := s.replica.raw.ProposeConfChange(change); err != nil {
		return domain.Errorf(domain.Unavailable, "the change of the members is not taken: %w", err)
	}
	return nil
}

// HandOver has this node, if it leads, hand the leadership to the voter that is furthest,
// and does not wait for what comes of it.
func (s *Stepped) HandOver() {
	if best := furthest(s.replica, ""); best != 0 {
		s.replica.raw.TransferLeader(best)
	}
}

// Standing is where a node that is stepped stands.
type Standing struct {
	Leads   bool // by Raft, whether or not it has applied what earlier leaders left
	Term    uint64
	Applied uint64
	Knows   eventlog.Leader
	Copies  int  // attempts to copy records of others
	Copying bool // it is too far behind for entries
	Members []Member
}

// Standing tells it.
func (s *Stepped) Standing() Standing {
	status := s.replica.raw.BasicStatus()
	return Standing{
		Leads: status.RaftState == raft.StateLeader, Term: status.GetTerm(), Applied: s.replica.applied, Knows: s.replica.leader(),
		Copies: s.copies, Copying: s.replica.installing != nil, Members: s.replica.storage.config.Members,
	}
}
