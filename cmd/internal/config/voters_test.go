package config

import (
	"strings"
	"testing"
)

func TestVoters(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := serve(t, env(), "--log", "esdb://db:2113", "--node-id", "b", "--voters", "c=https://c:1/, b=b:2,a=http://a:3")
	if err != nil {
		t.Fatal(err)
	}
	voters, faults := s.VoterList()
	if len(faults) > 0 || len(voters) != 3 || voters[0] != (Voter{"a", "http://a:3"}) || voters[1] != (Voter{"b", "http://b:2"}) || voters[2] != (Voter{"c", "https://c:1"}) {
		t.Errorf("found %v, %v", voters, faults)
	}
	for want, args := range map[string][]string{
		"want them with log":       {"--node-id", "a", "--voters", "a=a:1"},
		"want this node among":     {"--log", "esdb://db", "--node-id", "x", "--voters", "a=a:1"},
		"found a twice":            {"--log", "esdb://db", "--node-id", "a", "--voters", "a=a:1,a=b:2"},
		"want id=url":              {"--log", "esdb://db", "--node-id", "a", "--voters", "a"},
		"want a name":              {"--log", "esdb://db", "--node-id", "a", "--voters", "a b=c:1"},
		"no read_only":             {"--log", "esdb://db", "--node-id", "a", "--voters", "a=c:1", "--read-only"},
		"lease: want 200ms to 10m": {"--lease", "1ms"},
	} {
		if _, err := serve(t, env(), args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q, found %v", args, want, err)
		}
	}
}
