package main

import (
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/wiring"
)

// Two operators and a policy document, from the command line.
func TestPoliciesFromTheCommandLine(t *testing.T) {
	server := realNode(t, t.TempDir())
	env := map[string]string{"RIFT_ADDR": server.URL}
	do := func(args ...string) ran { return riftWith(t, "", env, append([]string{"policies"}, args...)...) }
	do("list", "-o", "csv").want(t, exitDone, "default,policy-default@0,0,", "")
	do("history", "-o", "table").want(t, exitDone, "nobody changed it yet", "")
	do("show", "-o", "table").want(t, exitDone, "work: the numbers of the queue\n", "")
	do("set", "work.lease_seconds=90s", "work.hard_limit=2000", "--reason", "slow disks", "--dry-run", "-o", "table").want(t, exitDone, "dry run: nothing was stored. It would become policy-default@1:", "")
	do("list", "-o", "csv").want(t, exitDone, "policy-default@0", "")
	do("set", "work.lease_second=90s", "work.hard_limit=20", "work.max_attempts=some", "--dry-run").
		want(t, exitError, "", "  work.lease_second: no such number; did you mean work.lease_seconds?\n  work.max_attempts: want whole number, found text\n  work.soft_limit: want recovery ≤ soft ≤ hard, found 200, 500, 20\n")
	do("set", "work.lease_seconds=90s", "work.hard_limit=2000", "--reason", "slow disks", "-o", "csv").want(t, exitDone, "work.lease_seconds,60,90,", "")
	do("set", "work.lease_seconds=10", "--expect", "default@0").want(t, exitConflict, "", "want version 0, found 1, set by somebody: slow disks\n  `rift policies history default` says who changed what")
	do("set", "work.lease_seconds=90", "-o", "table").want(t, exitDone, "nothing to change: policy-default@1 reads like this already\n", "")
	do("set", "work.lease_seconds=30", "--expect", "1").want(t, exitDone, `"version": "policy-default@2"`, "")
	do("set", "work.lease_seconds=31", "--expect", "9").want(t, exitError, "", "has versions 0 to 2, found 9")
	do("history", "-o", "csv").want(t, exitDone, "work.lease_seconds 90 → 30", "")
	do("history", "--limit", "1", "-o", "table").want(t, exitDone, "more: rift policies history --before 2", "")
	do("show", "default", "--version", "1", "-o", "csv").want(t, exitDone, "work.lease_seconds,90,60,a lease without a heartbeat ends after this,policy-default@1,version 1 by somebody,slow disks\n", "")
	do("show", "--version", "1", "-o", "table").want(t, exitDone, "policy-default@1; in force is policy-default@2", "")
	do("show", "nope").want(t, exitError, "", "`rift policies list` shows the documents there are")
	do("diff", "default@1", "default@2", "-o", "csv").want(t, exitDone, "key,default@1,default@2,meaning\nwork.lease_seconds,90,30,a lease", "")
	do("diff", "defaults", "-o", "jsonl").want(t, exitDone, `{"key":"work.hard_limit","before":1000,"after":2000}`, "")
	do("diff", "default", "-o", "table").want(t, exitDone, "name another version", "")
	do("diff").want(t, exitError, "", "want one or two versions such as default@3")
	do("set").want(t, exitError, "", "want at least one KEY=VALUE")
	do("set", "work.lease_seconds", "work.hard_limit=1", "work.hard_limit=2").want(t, exitError, "", "  work.lease_seconds: want KEY=VALUE\n  work.hard_limit: given twice\n")

	riftWith(t, "", env, "work", "add", "selfplay", "--task-id", "t-1").want(t, exitDone, "", "")
	riftWith(t, "", env, "log", "show", "--type", "TASK_SPAWNED", "-o", "csv").want(t, exitDone, ",policy-default@2\n", "")
}

func TestPolicyKeysComplete(t *testing.T) {
	rift(t, "__complete", "policies", "set", "work.lease").want(t, exitDone, "work.lease_seconds=\t"+wiring.Sections().About("work.lease_seconds"), "")
	if r := rift(t, "__complete", "policies", "set", "work.lease_seconds=1"); strings.Contains(r.stdout, "hard_limit") {
		t.Errorf("found completions of a value:\n%s", r.stdout)
	}
	rift(t, "__complete", "policies", "diff", "def").want(t, exitDone, "defaults", "")
}
