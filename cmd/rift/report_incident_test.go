package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/report"
)

const incidentPageOf = `Incident: more than one leader, 2026-02-03T14:02:41Z
box-1 and box-3 led at the same time for 1m0s, seen 2 times by box-1, never seen
to heal (2026-02-03T14:02:41Z to 2026-02-03T14:03:41Z), first at split_brain:9

What was found
critical  more than one leader
          box-1 and box-3 led at the same time for 1m0s, seen 2 times by box-1,
          never seen to heal (2026-02-03T14:02:41Z to 2026-02-03T14:03:41Z),
          first at split_brain:9
          Shown by LEADERS_OBSERVED at 8 in election-main, split_brain:9
critical  epoch adopted from gossip
          box-1 took over a higher term once because another node mentioned it,
          the last one 41 after 40
          Shown by TERM_ADOPTED at 7 in election-main, split_brain:8
warning   unscheduled job
          1 item invented by box-1 without a leader (autonomous); first
          autonomous-7f at 10
          Shown by TASK_SPAWNED at 10 in task-autonomous-7f, split_brain:11

How it stood
NAME               BEFORE  LEAST  MOST  AFTER
findings.critical       0      0     2      2
len(leaders)            0      0     2      2
term                    0      0    41     41
nodes.online            0      0     2      2
nodes.down              0      0     1      0
work.pending            0      0     2      1
work.held               0      0     2      2

Who led
LEADER  BY     SINCE     BESIDE  POSITION
box-1   box-1  14:02:41  box-3          8
box-3   box-1  14:02:41  box-1          8

What happened
 3  14:00:02  HOST_ONLINE 2 times: box-2, box-3
 6  14:02:10  NODE_UNHEALTHY box-2: reason heartbeat, silent_seconds 90
 7  14:02:40  TERM_ADOPTED term 41, previous 40, by box-1
 8  14:02:41  LEADERS_OBSERVED 2 times: leaders box-1, box-3, observer box-1,
              reason split brain detected
12  14:04:20  NODE_RECOVERED box-2: recovery_time_seconds 130

To look further
`

// Without a moment, the report is about the worst finding. It is the same from a file, a
// folder and a node, and the commands that it names can be run.
func TestReportIncident(t *testing.T) {
	r := rift(t, "report", "incident", splitBrain, "-o", "table")
	page, look, _ := strings.Cut(r.stdout, "To look further\n")
	if r.code != exitDone || page+"To look further\n" != incidentPageOf {
		t.Errorf("found exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	commands, _, _ := strings.Cut(look, "\n\n")
	lines := strings.Split(strings.ReplaceAll(commands, " \\\n", ""), "\n")
	for _, command := range lines {
		words := quotedWords(command)
		for i := range words {
			words[i] = strings.Trim(words[i], "'")
		}
		if r := rift(t, append(words[1:], "-o", "table")...); r.code == exitError || r.stdout == "" {
			t.Errorf("%s: found exit %d\n%s", command, r.code, r.stderr)
		}
	}
	if len(lines) != 6 {
		t.Errorf("want six commands, found %q", lines)
	}
	folder := filepath.Join(t.TempDir(), "data")
	rift(t, "log", "import", "--data", folder, splitBrain).want(t, exitDone, "", "")
	rift(t, "report", "incident", "--data", folder, "-o", "table").want(t, exitDone, incidentPageOf+"rift why 8 --data "+folder, "")
	rift(t, "report", "incident", "--data", folder, "-o", "table").want(t, exitDone, "rift at 8 work status", "")
	server := realNode(t, folder)
	rift(t, "report", "incident", "--addr", server.URL, "--at", "8", "-o", "table").want(t, exitDone, "Incident at 2026-02-03T14:02:41Z\n\nWhat was found\ncritical  more than one leader", "")
}

// A moment is named by a position, a time or an event, and the size of the window around it
// can be set.
func TestReportIncidentMoments(t *testing.T) {
	var found report.IncidentReport
	for _, words := range []string{"--at 12", "--at 2026-02-03T14:04:20Z", "--around 12", "--at -1"} {
		r := rift(t, append([]string{"report", "incident", splitBrain, "--window", "30s", "-o", "json"}, strings.Fields(words)...)...)
		if err := json.Unmarshal([]byte(r.stdout), &found); err != nil || r.code != exitDone || found.Log.First != 10 || len(found.Timeline) != 1 || found.Counts[5].Before != 1 || found.Counts[5].After != 0 {
			t.Errorf("%s: want positions 10 to 12, found exit %d, %v\n%s%s", words, r.code, err, r.stdout, r.stderr)
		}
	}
	rift(t, "report", "incident", splitBrain, "--around", "12", "-o", "md").want(t, exitDone, "# Incident at 2026-02-03T14:04:20Z\n\n## What was found\n\n- **more than one leader** (critical): box-1 and", "")
	rift(t, "report", "incident", splitBrain, "-o", "md").want(t, exitDone, "| 8 | 2026-02-03T14:02:41Z | LEADERS_OBSERVED | 2 times: leaders box-1, box-3, observer box-1, reason split brain detected |\n", "")
	rift(t, "report", "incident", splitBrain, "-o", "csv").want(t, exitDone, "position,time,type,what\n3,2026-02-03T14:00:02Z,HOST_ONLINE,\"2 times: box-2, box-3\"\n", "")
	rift(t, "report", "incident", splitBrain, "--limit", "3", "-o", "table").want(t, exitDone, "and 2 more; -o json has them all\n", "")
	rift(t, "report", "incident", splitBrain, "--limit", "3", "-o", "table").want(t, exitDone, "and 3 events that matter; --limit shows more", "")
	out := filepath.Join(t.TempDir(), "incident.md")
	rift(t, "report", "incident", splitBrain, "--out", out).want(t, exitDone, "", "wrote")
	quiet := writeFile(t, "quiet.jsonl", strings.SplitAfter(twice, "\n")[0])
	for wrong, want := range map[string]string{
		quiet: "nothing is found to be wrong in", splitBrain + " --at 2026-02-04T00:00:00Z": "nothing happened within 30m0s of", splitBrain + " --at x": "--at: want a position",
		splitBrain + " --around 99": "no event stands at position 99", splitBrain + " --around x": "event id", splitBrain + " --at 1 --around 1": "at around", splitBrain + " --window -1m": "--window: want a time",
		splitBrain + " --limit 0": "--limit: want 1", splitBrain + " --out a.svg": "-o svg: want table, md", "gone.log": "gone.log",
	} {
		r := rift(t, append([]string{"report", "incident"}, strings.Fields(wrong)...)...)
		if r.code != exitError || !strings.Contains(r.stderr, want) || !strings.Contains(r.stderr, "\n  ") {
			t.Errorf("%s: want exit 1, %q and advice, found exit %d\n%s", wrong, want, r.code, r.stderr)
		}
	}
}
