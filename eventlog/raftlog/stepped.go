package raftlog

import (
	"context"
	"errors"

	"go.etcd.io/raft/v3"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Stepped is a Log without goroutines and without a clock, for scripts and simulations. It
// acts only in Tick, Receive and Step, which one goroutine calls. The next tick syncs what
// it applied.
//
// A method of Log that has to wait for other nodes calls wait, which must return once
// ready returns true. The library draws election timeouts from crypto/rand.Reader.
type Stepped struct{ *Log }

// OpenStepped opens a log like Open, without starting goroutines. Ticking.Tick is not used.
func OpenStepped(dir string, options Options, wait func(ready func() bool)) (*Stepped, error) {
	l, err := build(dir, options)
	if err != nil {
		return nil, err
	}
	l.wait = wait
	return &Stepped{l}, nil
}

// park steps a Stepped log until ready returns true.
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
	if s.records.Applied() > s.records.Persisted() {
		_ = s.records.Persist(context.Background()) // the next tick tries again
	}
	if err := guard(func() error { s.replica.tick(); return nil }); err != nil {
		s.stop(err)
		return err
	}
	return s.Step()
}

// Step does everything that can be done without further messages. After an error of the
// disk or of an inconsistent state the log has stopped.
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
			outcomes, err := s.once(context.Background(), j, s.copies)
			if err != nil && !j.hopeless(err) { // the next step tries again
				s.handed = append(jobs[i:len(jobs):len(jobs)], s.handed...)
				return s.pass()
			}
			s.results = append(s.results, result{j, outcomes, err})
		}
	}
}

// pass handles the results of jobs so far.
func (s *Stepped) pass() error {
	if err := guard(s.step); err != nil {
		s.stop(err)
		return err
	}
	return nil
}

// Kill ends the log as the end of its process would. Requests that wait get an error
// that says that their outcome is not known.
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

// Propose proposes a change of the members and does not wait for it.
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

// HandOver starts a transfer of the leadership to the voter with the most entries, if this
// node leads, and does not wait for it.
func (s *Stepped) HandOver() {
	if best := furthest(s.replica, ""); best != 0 {
		s.replica.raw.TransferLeader(best)
	}
}

// Standing is the state of a Stepped log.
type Standing struct {
	Leads   bool // in Raft, even if it has not applied the entries of earlier leaders yet
	Term    uint64
	Applied uint64
	Knows   eventlog.Leader
	Copies  int  // attempts to copy records of other nodes
	Copying bool // it is too far behind for entries
	Members []Member
}

// Standing returns the state.
func (s *Stepped) Standing() Standing {
	status := s.replica.raw.BasicStatus()
	return Standing{
		Leads: status.RaftState == raft.StateLeader, Term: status.GetTerm(), Applied: s.replica.applied, Knows: s.replica.leader(),
		Copies: s.copies, Copying: s.replica.installing != nil, Members: s.replica.storage.config.Members,
	}
}
