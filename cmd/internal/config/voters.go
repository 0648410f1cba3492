package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// Voter is a node that takes part in elections, and its address.
type Voter struct {
	ID      domain.NodeID
	Address string // a URL
}

// maxVoters limits the voters, far above what a cluster needs.
const maxVoters = 64

// VoterList parses the list of voters, "id=url" separated by commas, and sorts it
// by id.
func (s Serve) VoterList() ([]Voter, []domain.Fault) {
	var voters []Voter
	var faults []domain.Fault
	fault := func(format string, args ...any) {
		faults = append(faults, domain.Fault{Field: "voters", Reason: fmt.Sprintf(format, args...)})
	}
	for one := range strings.SplitSeq(s.Voters, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		id, address, found := strings.Cut(one, "=")
		if !strings.Contains(address, "://") {
			address = "http://" + address
		}
		at, err := url.Parse(address)
		switch {
		case !found || err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https":
			fault("want id=url, such as box-1=http://10.0.0.5:8770, found %q", Redact(one))
			continue
		case domain.CheckName(id) != nil:
			fault("want a name, found %q: %v", id, domain.CheckName(id))
			continue
		}
		voters = append(voters, Voter{domain.NodeID(id), strings.TrimRight(address, "/")})
	}
	slices.SortFunc(voters, func(a, b Voter) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for i := range voters {
		if i > 0 && voters[i].ID == voters[i-1].ID {
			fault("want each once, found %s twice", voters[i].ID)
		}
	}
	if len(voters) > maxVoters {
		fault("want at most %d, found %d", maxVoters, len(voters))
	}
	return voters, faults
}

// voterFaults returns what is wrong with the settings of elections.
func (s Serve) voterFaults() []domain.Fault {
	voters, faults := s.VoterList()
	fault := func(key, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: key, Reason: fmt.Sprintf(format, args...)})
	}
	if s.Lease < 200*time.Millisecond || s.Lease > 10*time.Minute {
		fault("lease", "want 200ms to 10m, found %s", s.Lease)
	}
	if len(voters) == 0 {
		return faults
	}
	if s.Log == "" {
		fault("voters", "want them with log: a node with a log of its own leads it alone")
	}
	if s.ReadOnly {
		fault("voters", "want no read_only with them: such a node decides nothing")
	}
	if !slices.ContainsFunc(voters, func(v Voter) bool { return string(v.ID) == s.NodeID }) {
		fault("voters", "want this node among them, by its node_id %q", s.NodeID)
	}
	return faults
}
