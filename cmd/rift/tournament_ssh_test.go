package main

import "testing"

// A tournament can be tried with --dry-run, and is refused by a node that does not allow any.
func TestSSHTournamentFromTheCommandLine(t *testing.T) {
	server := realNode(t, t.TempDir())
	do := func(args ...string) ran {
		return rift(t, append([]string{"ssh-tournament"}, append(args, "--addr", server.URL)...)...)
	}
	ask := []string{"run", "--run-id", "tiers", "--hosts", "play@box-1,box-2:2222", "--tiers", "D1-D3", "--games-per-matchup", "4", "--command", `["rift","play"]`}
	do(append(ask, "--dry-run", "-o", "json")...).want(t, exitDone, `"would_run": true`, "")
	do(ask...).want(t, exitError, "", "start it with --ssh-tournaments")
	do("status", "-o", "table").want(t, exitDone, "no tournaments over SSH", "")
	do("status", "tiers").want(t, exitError, "", "runs are listed by")
	do("cancel", "tiers").want(t, exitError, "", `no run "tiers" is known`)
	rift(t, "serve", "--ssh-tournaments", "--print-config").want(t, exitError, "", "want ssh.known_hosts with it, and ssh.key or ssh.agent")
}
