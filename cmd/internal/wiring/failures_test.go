package wiring

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lesson is one of the sixty failures that the original cluster recorded: what
// happened, and what keeps it from happening here.
type lesson struct {
	row       int
	what      string
	prevented string
	area      string // that keeps it, or will
	shown     string // the script or test that shows it, unless one is named after the row
}

// lessons lists the sixty. A script called row_NN_….txt or a test called
// TestRowNN… is found by its name; what shows a row under another name stands
// here; a row that nothing shows is open.
var lessons = []lesson{
	{1, "routes deleted while callers remained", "one table for server and client", "edge", "TestEveryEventAndEndpointHasAScript"},
	{2, "a crash shown as a bad request blocked dispatch", "schemas with defaults; problems have codes", "work", ""},
	{3, "a completion without its model: no evaluation followed", "required keys are checked at append", "training", "testdata/scripts/training/bridge.txt"},
	{4, "evaluations without a config blocked promotions", "typed ids", "training", "testdata/scripts/training/bridge.txt"},
	{5, "two names for the number of games; Elo 0 taken as known", "one schema, ranges, aliases on input", "training", "testdata/scripts/training/bridge.txt"},
	{6, "the winner written under a key nobody reads", "one writer per fact", "elo", ""},
	{7, "two completions per training", "identity from the cause", "training", "testdata/scripts/training/completions.txt"},
	{8, "every game failed and the result said success", "the aggregate's own invariant", "gauntlet", ""},
	{9, "promotions after no games", "gates are a function of facts", "training", "testdata/scripts/training/evaluation_and_promotion.txt"},
	{10, "gates that refused without a word", "a decision is an event with its reasons", "training", "testdata/scripts/gauntlet/evaluation_completed.txt"},
	{11, "matches across player counts in one rating", "the config is part of a match", "elo", ""},
	{12, "the best model was a heuristic", "participants have kinds", "elo", ""},
	{13, "baselines drifted in games of three and four", "one fold, pinned baselines", "elo", ""},
	{14, "candidates compared with an inflated baseline", "compared with the model in use", "training", ""},
	{15, "new weights inherited an old rating", "a model is the hash of its weights", "elo", ""},
	{16, "columns differed between writers", "versioned events, upcasters", "log", "TestOldVersionsAreReadableForEver"},
	{17, "noise was promoted", "intervals in the decision", "training", ""},
	{18, "a scan flooded the evaluation queue", "natural keys, fair queueing", "queue", ""},
	{19, "a calibration loop flooded the queue", "limits per type", "queue", ""},
	{20, "one of four sibling entries was completed", "explicit steps", "gauntlet", "testdata/scripts/gauntlet/loop.txt"},
	{21, "thousands of items slowed every claim", "indexes; limits per type", "queue", "testdata/scripts/work/backpressure.txt"},
	{22, "failed dispatches spent attempts", "attempts count from the claim", "work", "testdata/scripts/work/release_and_cancel.txt"},
	{23, "memory and database disagreed", "one log", "work", "testdata/scripts/work/crash_and_replay.txt"},
	{24, "identical jobs on one node", "unique keys", "work", "testdata/scripts/work/unique_key.txt"},
	{25, "a silent node was given job after job", "leases, not gossip", "work", "testdata/scripts/work/timeout.txt"},
	{26, "a breaker excluded nodes for ever", "a breaker ends by time, visibly", "nodes", "testdata/scripts/nodes/breaker.txt"},
	{27, "nodes nobody configured claimed work", "tokens, capabilities", "edge", ""},
	{28, "tasks leaked until the server died", "bounded workers", "edge", ""},
	{29, "maps without bounds", "bounds on everything", "edge", ""},
	{30, "one pool for everything", "budgets of their own", "edge", ""},
	{31, "search held the interpreter's lock", "separate processes", "worker", ""},
	{32, "a lock taken on one thread and released on another", "one writer; nothing is held between commands", "gossip", ""},
	{33, "events emitted under locks", "append first, then tell", "log", ""},
	{34, "connections leaked", "one pooled client", "edge", ""},
	{35, "two leaders by two protocols", "one protocol", "election", ""},
	{36, "three protocols at once", "one protocol", "election", ""},
	{37, "nodes elected themselves", "a majority of configured voters", "election", ""},
	{38, "gossip overrode a leader with a lease", "leadership only through the log", "election", ""},
	{39, "terms made up by hand", "terms only by elections", "election", ""},
	{40, "a larger epoch took a live lease", "grants are persisted", "election", ""},
	{41, "a jump host led", "eligibility is checked by voters", "election", ""},
	{42, "all voters offline at start", "seeded from enrolment", "gossip", ""},
	{43, "consensus state was not persisted", "versioned snapshots", "raft", ""},
	{44, "shell strings built from input", "no shell", "worker", ""},
	{45, "open by default, reads that change", "tokens; no GET changes anything", "edge", ""},
	{46, "handlers outside the dead letters", "a cursor and dead letters for every handler", "handlers", "testdata/scripts/admin/handler_failed_twice.txt"},
	{47, "nothing was dispatched for 16 days and nobody knew", "silence is an alarm", "alarms", "testdata/scripts/admin/alarms.txt"},
	{48, "every tournament emitted an empty evaluation", "one type per fact, required keys", "training", "testdata/scripts/training/completions.txt"},
	{49, "two process trees overloaded a machine", "one owner of a node's budget", "queue", ""},
	{50, "events never crossed between processes", "one log for all", "log", ""},
	{51, "unknown quality read as zero blocked training", "unknown is not zero", "training", ""},
	{52, "stale locks and huge gossip", "bounded messages", "gossip", ""},
	{53, "a flag that held a name", "typed values", "admin", "testdata/scripts/daemons/bridge.txt"},
	{54, "runbooks named what did not exist", "listings printed from the code", "handlers", "TestListings"},
	{55, "many models in one record named unknown", "required keys, natural keys", "training", "testdata/scripts/training/bridge.txt"},
	{56, "800 identical games", "paired openings, zero variance noticed", "gauntlet", ""},
	{57, "recovery set moved work running again", "a lease number that only grows", "nodes", "testdata/scripts/nodes/grace_then_reassigned.txt"},
	{58, "a sick node told every minute, some without a name", "edges only, required keys", "nodes", "testdata/scripts/nodes/edges_only.txt"},
	{59, "recovery resumed what was paused for other reasons", "a pause per reason", "admin", "testdata/scripts/admin/pauses.txt"},
	{60, "events nobody listened to", "checked by a test", "handlers", "TestEveryEventIsHandledOrIgnored"},
}

// The sixty failures, which of them cannot happen here, and the proof of each. The
// names in the table must exist; the listing is golden, so that a row cannot be
// reopened unnoticed; `make golden` rewrites it.
func TestSixtyFailures(t *testing.T) {
	scripts, tests := shownRows(t)
	if len(lessons) != 60 {
		t.Fatalf("want sixty, found %d", len(lessons))
	}
	var b strings.Builder
	shown := 0
	open := make([]bool, len(lessons))
	for i, one := range lessons {
		if one.row != i+1 {
			t.Errorf("row %d stands at place %d", one.row, i+1)
		}
		found := slices.Concat(scripts[one.row], tests[one.row])
		switch {
		case one.shown == "":
		case strings.HasPrefix(one.shown, "Test"):
			if !slices.Contains(tests[0], one.shown) {
				t.Errorf("row %d: no test is called %s", one.row, one.shown)
			}
			found = append(found, one.shown)
		default:
			if _, err := os.Stat(filepath.Join("..", "..", "..", one.shown)); err != nil {
				t.Errorf("row %d: %v", one.row, err)
			}
			found = append(found, one.shown)
		}
		by := "open"
		if len(found) > 0 {
			by = strings.Join(found, ", ")
			shown++
		}
		open[i] = len(found) == 0
		fmt.Fprintf(&b, "%2d  %-60s  %-48s  %-9s  %s\n", one.row, one.what, one.prevented, one.area, by)
	}
	fmt.Fprintf(&b, "%d of %d are shown not to happen\n", shown, len(lessons))
	t.Logf("\n%s", b.String())
	golden := filepath.Join(testdata, "failures.txt")
	if os.Getenv("RIFT_REWRITE") != "" {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
		if i < len(open) && open[i] && !strings.HasSuffix(line, "  open") {
			t.Errorf("row %d was shown not to happen, and is open now:\n%s", i+1, line)
		}
	}
}

var (
	rowScript = regexp.MustCompile(`^row_(\d+)_.*\.txt$`)
	testName  = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	rowTest   = regexp.MustCompile(`^TestRow(\d+)`)
)

// shownRows finds the scripts and tests that are named after a row; under row 0
// stand the names of all tests.
func shownRows(t *testing.T) (scripts, tests map[int][]string) {
	t.Helper()
	root := filepath.Join("..", "..", "..")
	scripts, tests = map[int][]string{}, map[int][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if err == nil && (entry.Name() == ".git" || entry.Name() == "bin") {
				return filepath.SkipDir
			}
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if named := rowScript.FindStringSubmatch(entry.Name()); named != nil {
			row, err := strconv.Atoi(named[1])
			scripts[row] = append(scripts[row], filepath.ToSlash(relative))
			return err
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, named := range testName.FindAllStringSubmatch(string(text), -1) {
			tests[0] = append(tests[0], named[1])
			if row := rowTest.FindStringSubmatch(named[1]); row != nil {
				n, err := strconv.Atoi(row[1])
				if err != nil {
					return err
				}
				tests[n] = append(tests[n], named[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range slices.Sorted(maps.Keys(scripts)) {
		slices.Sort(scripts[row])
	}
	return scripts, tests
}
