package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/domain/work"
	adminview "github.com/ringrift/rift/projections/admin"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
	findingsview "github.com/ringrift/rift/projections/findings"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/admin"
	relaywire "github.com/ringrift/rift/transport/relay"
	swimwire "github.com/ringrift/rift/transport/swim"
)

// longName returns the i-th name, of 40 letters.
func longName(i int) string { return fmt.Sprintf("training-rack-eu-west-7-machine-%08d", i) }

// longError is as long as an error of a disk or a decoder with all that it wraps.
var longError = `decode TASK_FAILED: json: cannot unmarshal string into Go struct field Failed.attempt of type int: ` + strings.Repeat("while applying a batch of events, ", 9) + "gave up"

// showAt80 returns what a command prints of an answer on a terminal of 80 columns.
func showAt80(t *testing.T, show func(*output.Printer, json.RawMessage, endpoint) error, answer any) string {
	t.Helper()
	encoded, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := &output.Printer{Out: &out, Format: output.Table, Width: 80, Now: time.Date(2026, 3, 6, 14, 0, 0, 0, time.UTC)}
	var found *findings
	if err := show(p, encoded, endpoint{}); err != nil && !errors.As(err, &found) {
		t.Fatal(err)
	}
	fits80(t, out.String())
	return out.String()
}

// Listings with many rows, long names, errors and addresses fit 80 columns, and every row
// shows what it is about.
func TestMuchOfEverythingFitsTheTerminal(t *testing.T) {
	const many = 30
	then := time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)
	var acts adminview.LettersAnswer
	var mailboxes relaywire.Status
	var members swimwire.Members
	var list nodesview.ListAnswer
	var daemons nodesview.DaemonsAnswer
	for i := range many {
		id := fmt.Sprintf("training_attempt_failed.TRAINING_ATTEMPT_FAILED@%d", 1_000_000+i)
		acts.Acts = append(acts.Acts, adminview.LetterActRow{ID: id, Act: "discarded", Actor: longName(i), At: then, Reason: longError, Error: longError})
		old := domain.Seconds(i)
		mailboxes.Mailboxes = append(mailboxes.Mailboxes, relaywire.Mailbox{NodeID: domain.NodeID(longName(i)), Open: true, Oldest: &old, Queued: 12_345, Answered: 1_234_567, Expired: 12_345, Refused: 1_234_567})
		member := swimwire.Row{NodeID: domain.NodeID(longName(i)), State: swim.SwimAlive, Since: then, Address: "http://" + longName(i) + ".example:8770", Suspected: 12_345}
		node := nodesview.NodeRow{NodeID: domain.NodeID(longName(i)), State: nodes.StateOnline, Since: then, Capabilities: []string{"selfplay", "training", "gauntlet", "cmaes"}}
		if i == many-1 {
			member.State, member.Heard = swim.SwimDead, true
			node.State, node.Reason = nodes.StateOffline, longError
		}
		members.Members = append(members.Members, member)
		encoded, err := json.Marshal(node)
		if err != nil {
			t.Fatal(err)
		}
		list.Nodes = append(list.Nodes, encoded)
		daemons.Daemons = append(daemons.Daemons, nodesview.DaemonAnswer{DaemonRow: nodesview.DaemonRow{NodeID: domain.NodeID(longName(i)), DaemonName: "evaluation_of_checkpoints_daemon", LastError: longError, Since: then}})
	}
	for name, told := range map[string]struct {
		show   func(*output.Printer, json.RawMessage, endpoint) error
		answer any
		first  string // what the first row ends with or says
	}{
		"acts":    {asTable(letterActsTable), acts, "000"},
		"relay":   {asTable(relayTable), mailboxes, "29"},
		"members": {showMembers, members, "dead"},
		"nodes":   {showNodes, list, "offline"},
		"daemons": {showDaemons, daemons, ""},
	} {
		t.Run(name, func(t *testing.T) {
			said := showAt80(t, told.show, told.answer)
			rows := strings.Split(strings.TrimSpace(said), "\n")
			seen := map[string]bool{}
			for _, row := range rows[1:] {
				seen[strings.Fields(row)[0]] = true
			}
			if len(seen) < many || !strings.Contains(rows[1], told.first) {
				t.Errorf("want %d rows told apart, the worst first, found\n%s", many, said)
			}
		})
	}
}

// Searches with numbers of any size fit 80 columns, and their heads are not cut.
func TestSearchesFitTheTerminal(t *testing.T) {
	var found cmaesview.RunsAnswer
	for i := range 4 {
		found.Runs = append(found.Runs, cmaesview.Status{
			Run: cmaesrun.ID(longName(i)), State: cmaesrun.Stopped, Generation: 12_345, Evaluations: 1_234_567, Best: &cmaesrun.Best{Fitness: -1_234_567.8}, Sigma: 1.2345e-7, Lost: 12_345,
			Stop: map[string]float64{"maxfevals": 1, "stagnation": 1, "tolfun": 1},
		})
	}
	head, _, _ := strings.Cut(showAt80(t, asTable(runsTable), found), "\n")
	if got, want := strings.Fields(head), []string{"RUN", "STATE", "GEN", "EVALS", "BEST", "SIGMA", "LOST", "STOP"}; !slices.Equal(got, want) {
		t.Errorf("want the heads %q, found %q", want, got)
	}
}

// Dead letters with long errors fit 80 columns. The id, which people copy, and the cause are
// not cut.
func TestDeadLettersFitTheTerminal(t *testing.T) {
	var letters transport.DeadLetters
	for i := range 30 {
		letters.DeadLetters = append(letters.DeadLetters, transport.DeadLetter{
			ID: fmt.Sprintf("training_attempt_failed.TRAINING_ATTEMPT_FAILED@%d", 1_000_000+i), Handler: "training_attempt_failed", EventPosition: domain.Position(1_000_000 + i),
			EventType: "TRAINING_ATTEMPT_FAILED", Error: "\x1b[2J" + longError + longError, Attempts: 12, Last: time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC),
		})
	}
	said := showAt80(t, showDeadLetters, letters)
	for _, letter := range letters.DeadLetters {
		if !strings.Contains("\n"+said, "\n"+letter.ID+"\n") {
			t.Errorf("want %s on a line of its own", letter.ID)
		}
	}
	if strings.Contains(said, "\x1b") {
		t.Error("want nothing in an error to steer the terminal")
	}
	joined := strings.Join(strings.Fields(said), " ")
	if strings.Count(joined, "field Failed.attempt of type int") != 30 || strings.Count(joined, "… (show has the rest)") != 30 {
		t.Errorf("want the causes, and a sign where they are cut, found\n%s", said)
	}
}

// Two hundred findings with long subjects fit 80 columns, whole, the worst first.
func TestManyFindingsFitTheTerminal(t *testing.T) {
	const many = 200
	var found findingsview.Answer
	for i := range many {
		row := findingsview.FindingRow{
			Kind: findingsview.FindingKinds[i%len(findingsview.FindingKinds)].Kind, Severity: []findingsview.Severity{findingsview.Warning, findingsview.Critical}[i%2],
			Position: domain.Position(1_000_000 + i), LastPosition: domain.Position(9_000_000 + i), Count: 1_234_567, Subject: longName(i), Summary: longName(i) + " and " + longName(i+1) + ": " + longError,
			At: time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC), Until: time.Date(2026, 2, 4, 4, 5, 6, 789, time.UTC), Sources: []string{"recordings/of/the/winter/" + longName(i) + ".jsonl.zst:1234567"},
		}
		encoded, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		found.Findings = append(found.Findings, encoded)
	}
	said := showAt80(t, showFindings, found)
	if last, first := strings.LastIndex(said, "critical  "), strings.Index(said, "warning   "); last > first {
		t.Error("want the critical ones first")
	}
	if n := strings.Count(said, "gave up"); n != many {
		t.Errorf("want all of %d summaries whole, found %d", many, n)
	}
}

// A status with much trouble fits 80 columns.
func TestStatusWithMuchTroubleFitsTheTerminal(t *testing.T) {
	page := admin.Status{Status: transport.StateFailed, Node: longName(1), Cluster: longName(2), Leader: longName(3), Work: map[string]int{}, Nodes: map[nodes.State]int{}}
	for i, state := range work.TaskStates {
		page.Work[string(state)] = 1_234_567 + i
	}
	for i, state := range nodes.NodeStates {
		page.Nodes[state] = 1_234_567 + i
	}
	for i := range 20 {
		page.Trouble = append(page.Trouble, transport.Check{State: transport.StateFailed, Name: "findings", Reason: longName(i) + ": " + longError, Causes: []string{longError}})
		page.Paused = append(page.Paused, adminview.PauseRow{Kind: "selfplay", Pauses: []adminview.PauseHold{{Reason: longError, Actor: longName(i)}}})
	}
	page.Trouble = append(page.Trouble, transport.Check{State: transport.StateDegraded, Name: "projections_and_read_models", Reason: longName(21) + "/" + longName(22)})
	said := showAt80(t, showStatusPage, page)
	if n := strings.Count(strings.Join(strings.Fields(said), " "), "gave up"); n != 40 {
		t.Errorf("want every reason whole, found %d of 40", n)
	}
	for i := 21; i < 23; i++ {
		if !strings.Contains(said, longName(i)) {
			t.Errorf("want %s whole, found\n%s", longName(i), said)
		}
	}
}
