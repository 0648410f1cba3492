package recorded

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
)

func (f *translator) voterOnline(at stamped, g []string) error {
	return f.voter(at, g, true)
}

func (f *translator) voterOffline(at stamped, g []string) error {
	return f.voter(at, g, false)
}

func (f *translator) voter(at stamped, g []string, up bool) error {
	var counts [3]int
	for i := range counts {
		var err error
		if counts[i], err = strconv.Atoi(g[2+i]); err != nil {
			return f.unusable(at, "number out of range")
		}
	}
	was, seen, err := f.voterOf(g[1], f.election(), at.at)
	if err != nil {
		return err
	}
	if seen && was == up {
		return f.known(at, "the voter was in that state")
	}
	f.voterNamed(g[1]).setByLine(up, at.at)
	if up {
		return f.say(at, f.election(), election.VoterOnline{Voter: domain.NodeID(g[1]), Alive: counts[0], Voters: counts[1], Quorum: counts[2]})
	}
	return f.say(at, f.election(), election.VoterOffline{Voter: domain.NodeID(g[1]), Alive: counts[0], Voters: counts[1], Quorum: counts[2]})
}

func (f *translator) epochAdopted(at stamped, g []string) error {
	term, err := strconv.ParseUint(g[1], 10, 64)
	previous, err2 := strconv.ParseUint(g[2], 10, 64)
	if err != nil || err2 != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, f.election(), election.TermAdopted{Term: term, Previous: previous, By: f.node})
}

// splitBrain handles a report that is logged twice: by the loop that detected it, and by
// the orchestrator behind the leaderReport lines. Both become events; the second has the
// reports.
func (f *translator) splitBrain(at stamped, g []string) error {
	observed := election.LeadersObserved{Leaders: []domain.NodeID{}, Observer: f.node, Reason: "split brain detected", Reports: f.reports}
	f.reports = nil
	for _, name := range names(g[2]) {
		observed.Leaders = append(observed.Leaders, domain.NodeID(name))
	}
	if len(observed.Leaders) == 0 {
		return f.unusable(at, "names no leaders")
	}
	if term, err := strconv.ParseUint(g[3], 10, 64); err == nil && g[3] != "" {
		observed.Term = &term
	}
	return f.say(at, f.election(), observed)
}

// leaderReport keeps who reported a leader for the splitBrain line that follows.
func (f *translator) leaderReport(_ stamped, g []string) error {
	if len(f.reports) < 16 {
		f.reports = append(slices.Clip(f.reports), election.LeaderReport{Leader: domain.NodeID(g[1]), Reporters: names(g[2])})
	}
	return nil
}

func (f *translator) splitBrainHealed(at stamped, g []string) error {
	minutes, err := strconv.ParseFloat(g[1], 64)
	if err != nil {
		return f.unusable(at, "duration is no number")
	}
	f.reports = nil
	return f.say(at, f.election(), election.SplitBrainHealed{Observer: f.node, DurationSeconds: domain.Seconds(minutes * 60)})
}

// leaderBelieved handles a change of the leader that the observer believes in.
func (f *translator) leaderBelieved(at stamped, g []string) error {
	f.leads = g[4]
	if g[3] == g[4] {
		return f.known(at, "the leader was believed already")
	}
	observed := election.LeadersObserved{Leaders: []domain.NodeID{}, Observer: f.node, Reason: g[5]}
	if g[4] != nobody {
		observed.Leaders = append(observed.Leaders, domain.NodeID(g[4]))
	}
	if g[3] != nobody {
		observed.Previous = domain.NodeID(g[3])
	}
	return f.say(at, f.election(), observed)
}

// leaderless handles the observer's loss or recovery of a leader.
func (f *translator) leaderless(_ stamped, g []string) error {
	switch detected := strings.HasPrefix(g[1], "DETECTED"); {
	case detected:
		f.leads = nobody
	case f.leads == nobody || f.leads == "":
		f.leads = somebody
	}
	return nil
}

// leaderlessFor handles a report of how long there was no leader; 0 means that there is
// one.
func (f *translator) leaderlessFor(_ stamped, g []string) error {
	switch leaderless := strings.Trim(g[1], "0") != ""; {
	case leaderless:
		f.leads = nobody
	case f.leads == nobody || f.leads == "":
		f.leads = somebody
	}
	return nil
}

// votersCounted handles an observer's count of the voters.
func (f *translator) votersCounted(at stamped, g []string) error {
	var counts [3]int
	for i := range counts {
		var err error
		if counts[i], err = strconv.Atoi(g[1+i]); err != nil {
			return f.unusable(at, "number out of range")
		}
	}
	said := strings.Join(append([]string{"voters"}, g[1:4]...), "\x00")
	if f.echo(at, said) {
		return f.known(at, "the same count was told just before")
	}
	return f.say(at, f.cluster(), admin.QuorumObserved{Alive: counts[0], Voters: counts[1], Quorum: counts[2], Observer: f.node})
}

func (f *translator) failover(at stamped, g []string) error {
	return f.say(at, f.admin(), admin.StandbyTookOver{NodeID: f.node, Reason: first(clip(g[1], 400), "fail-over")})
}

// critical handles a line of level CRITICAL that no other pattern takes.
func (f *translator) critical(at stamped, g []string) error {
	logger := first(g[1], g[2])
	if message := strings.TrimSpace(g[3]); message != "" {
		return f.say(at, f.admin(), admin.CriticalLogged{Logger: clip(logger, 200), Message: clip(message, 1000), NodeID: f.node})
	}
	return f.unusable(at, "says nothing")
}
