package findings_test

import (
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/nodes"
)

// An append in an earlier term is a finding, whoever leads now. One in the current term is
// none, and neither is one where several clusters share a log.
func TestAppendsOfOldTerms(t *testing.T) {
	s := tell(t)
	s.source = "a"
	s.term = 3
	s.say(electionStream, election.LeaderChanged{Leader: "a", Term: 3})
	s.say("node-x", nodes.HostOnline{NodeID: "x"})
	s.term = 4
	s.say(electionStream, election.LeaderChanged{Leader: "b", Previous: "a", Term: 4})
	s.say("node-x", nodes.HostOffline{NodeID: "x", Reason: "silent"})
	s.want()
	s.term = 3
	s.say("node-x", nodes.HostOnline{NodeID: "x"})
	s.say("node-y", nodes.HostOnline{NodeID: "y"})
	s.want("stale_append critical 5-6 ×2 [3 5 6]: a appended 2 times in term 3, though b leads term 4 since 3; the last is HOST_ONLINE at 6")

	both := tell(t)
	both.term = 3
	both.say("election-one", election.LeaderChanged{Leader: "a", Term: 9}).say("election-two", election.LeaderChanged{Leader: "b", Term: 3})
	both.say("node-x", nodes.HostOnline{NodeID: "x"})
	both.want()
}

func TestLeadersThatChangeTooOften(t *testing.T) {
	s := tell(t)
	for term := range uint64(4) {
		s.after(time.Minute).say(electionStream, election.LeaderChanged{Leader: domain.NodeID("ab"[term%2 : term%2+1]), Term: term + 1})
	}
	s.want()
	s.after(time.Minute).say(electionStream, election.LeaderChanged{Leader: "a", Term: 5})
	s.want("flapping_leader warning 1-5 ×5 [1 2 3 4 5]: the leader of main changed 5 times, at least 5 times in 10m0s; the last is a in term 5")

	calm := tell(t)
	for term := range uint64(9) {
		calm.after(time.Hour).say(electionStream, election.LeaderChanged{Leader: "a", Term: term + 1})
	}
	calm.want()
}
