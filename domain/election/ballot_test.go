package election_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
)

func asOutdated(err error, into **election.Outdated) bool { return errors.As(err, into) }

var three = election.Electorate{Voters: []domain.NodeID{"a", "b", "c"}, Lease: time.Second}

// A ballot under random requests, restarts and times grants one vote a term, its terms
// only grow, and its promises last by the voter's own clock.
func TestBallotKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b election.Ballot
		now := time.Duration(0)
		voted := map[uint64]domain.NodeID{}
		var bound domain.NodeID // the node that the answers bound the voter to, and until when
		var until, longest time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 1200).Draw(t, "ms")) * time.Millisecond
			who := three.Voters[rapid.IntRange(0, 2).Draw(t, "who")]
			term := max(1, b.Term+uint64(rapid.IntRange(0, 3).Draw(t, "term"))-1)
			facts := election.VoterFacts{Voter: "a", Electorate: three, Now: now, Known: domain.Position(rapid.IntRange(0, 2).Draw(t, "known"))}
			before := b
			granted := false
			var err error
			lease := three.Lease
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0: // a restart: the clock begins again
				now = time.Duration(rapid.IntRange(0, 1000).Draw(t, "boot")) * time.Millisecond
				if b, err = b.Save().Restore(now); err != nil {
					t.Fatal(err)
				}
				if b.Term != before.Term || b.VotedFor != before.VotedFor {
					t.Fatalf("want %+v after a restart, found %+v", before, b)
				}
				if bound != "" {
					until = now + longest
				}
				continue
			case 1:
				lease = time.Duration(rapid.IntRange(0, 2000).Draw(t, "lease")) * time.Millisecond
				var answer election.BeatAnswer
				b, answer, err = b.Heartbeat(election.Heartbeat{Leader: who, Term: term, Lease: lease}, facts)
				granted = err == nil
				if granted && answer.LeaseSeconds.Duration() > three.Lease {
					t.Fatalf("want the voter's own lease at most, found %v", answer.LeaseSeconds)
				}
				lease = min(lease, three.Lease)
			default:
				var answer election.VoteAnswer
				c := election.Candidacy{Candidate: who, Term: term, LastPosition: domain.Position(rapid.IntRange(0, 2).Draw(t, "last"))}
				b, answer, err = b.Vote(c, facts)
				granted = answer.Granted
				if granted && c.LastPosition < facts.Known {
					t.Fatalf("want a candidate that has read the last election, voted for one at %d of %d", c.LastPosition, facts.Known)
				}
			}
			var outdated *election.Outdated
			if term < before.Term && (!errors.As(err, &outdated) || outdated.Term != before.Term || !errors.Is(err, domain.ErrConflict)) {
				t.Fatalf("term %d after %d: want a conflict with the newer one, found %v", term, before.Term, err)
			}
			if !granted {
				if b != before {
					t.Fatalf("want the ballot as it was after a refusal, found %+v after %+v", b, before)
				}
				continue
			}
			if b.Term < before.Term || b.Term != term || b.VotedFor != who {
				t.Fatalf("want %s in term %d, found %+v", who, term, b)
			}
			if other, there := voted[term]; there && other != who {
				t.Fatalf("voted for %s and %s in term %d", other, who, term)
			}
			voted[term] = who
			if bound != who && bound != "" && now < until {
				t.Fatalf("%s was promised until %v, %s was granted at %v", bound, until, who, now)
			}
			if lease == 0 {
				bound, until = "", 0
				continue
			}
			if bound != who {
				until, longest = 0, 0
			}
			bound, longest, until = who, max(longest, lease), max(until, now+lease)
		}
	})
}

func TestBallotRefuses(t *testing.T) {
	facts := election.VoterFacts{Voter: "a", Electorate: three, Now: time.Hour}
	b := election.Ballot{Term: 7, VotedFor: "b", Lease: time.Second, Until: time.Hour + time.Second}
	for _, c := range []struct {
		candidate domain.NodeID
		term      uint64
		code      domain.Code
		says      string
	}{
		{"b", 0, domain.Invalid, "term: want 1 to"},
		{"b", election.MaxTerm, domain.Invalid, "term: want 1 to"},
		{"no name", 8, domain.Invalid, "candidate"},
		{"jump-host", 8, domain.Forbidden, "one of the configured voters"},
		{"b", 6, domain.Conflict, "want 7 or a newer one"},
	} {
		after, _, err := b.Vote(election.Candidacy{Candidate: c.candidate, Term: c.term}, facts)
		if domain.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || after != b {
			t.Errorf("vote %s in %d: want %s and %q, found %v", c.candidate, c.term, c.code, c.says, err)
		}
		_, _, err = b.Heartbeat(election.Heartbeat{Leader: c.candidate, Term: c.term, Lease: time.Second}, facts)
		if domain.CodeOf(err) != c.code {
			t.Errorf("heartbeat %s in %d: want %s, found %v", c.candidate, c.term, c.code, err)
		}
	}
	for _, h := range []election.Heartbeat{{"c", 7, 1}, {"c", 8, 1}, {"b", 7, -1}, {"b", 7, 25 * time.Hour}} {
		if after, _, err := b.Heartbeat(h, facts); err == nil || after != b {
			t.Errorf("heartbeat %+v: want it refused, found %+v", h, after)
		}
	}
	for _, saved := range []election.Saved{{Term: 1}, {Term: election.MaxTerm + 1, VotedFor: "a"}, {Term: 1, VotedFor: "a", LeaseSeconds: -1}, {Term: 1, VotedFor: "a", LeaseSeconds: 1e9}} {
		if _, err := saved.Restore(0); domain.CodeOf(err) != domain.Corrupt {
			t.Errorf("%+v: want it corrupt, found %v", saved, err)
		}
	}
	for _, e := range []election.Electorate{{Lease: 1}, {Voters: []domain.NodeID{"b", "a"}, Lease: time.Second}, {Voters: []domain.NodeID{"a", "a"}, Lease: time.Second}, {Voters: []domain.NodeID{""}, Lease: time.Second}} {
		if e.Validate() == nil {
			t.Errorf("%+v: want it refused", e)
		}
	}
}
