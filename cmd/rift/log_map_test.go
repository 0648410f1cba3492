package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImportByAMapping(t *testing.T) {
	log := writeFile(t, "slurmctld.log", `[2026-06-01T01:02:35.148] _slurm_rpc_submit_batch_job: JobId=42 InitPrio=1 usec=589
[2026-06-01T01:02:36.012] sched: Allocate JobId=42 NodeList=gpu[05-06] #CPUs=32 Partition=gpu
[2026-06-01T01:17:05.607] error: Nodes gpu05 not responding, setting DOWN
[2026-06-01T01:17:06.607] requeue job JobId=42 due to failure of node gpu05
`)
	data := filepath.Join(t.TempDir(), "data")
	rift(t, "log", "import", "--map", "slurm", "--explain", "2", "--data", data, log).want(t, exitDone, "rule allocate: takes it", "")
	if _, err := os.Stat(data); err == nil {
		t.Error("want --explain to make no folder, found one")
	}
	rift(t, "log", "import", "--map", "slurm", "--data", data, log).want(t, exitDone, `"appended": 4`, "")
	rift(t, "log", "import", "--map", "slurm", "--data", data, log).want(t, exitDone, `"duplicates": 4`, "")
	shown := rift(t, "log", "export", "--data", data, "-")
	if !strings.Contains(shown.stdout, `"nodes":["gpu05","gpu06"]`) {
		t.Errorf("want the nodes of the job, found %s", shown.stdout)
	}
	faulty := writeFile(t, "faulty.yaml", "lines: text\nrules:\n- {name: first, event: HOST_ONLINE, valeus: {}}\n")
	rift(t, "log", "import", "--map", faulty, "--data", data, log).want(t, exitError, "", "rules[1] (first).valeus")
	rift(t, "log", "import", "--map", "slurn", "--data", data, log).want(t, exitError, "", "slurm, sacct")
	rift(t, "log", "import", "--map", "slurm", "--explain", "9", log).want(t, exitError, "", "want line 9, found 4 lines")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../testdata/mappings/failures.yaml")
	if err != nil || !strings.Contains(string(readme), "```yaml\n"+string(document)+"```") {
		t.Errorf("want the README to show testdata/mappings/failures.yaml, found it otherwise: %v", err)
	}
	rift(t, "log", "import", "--map", "../../testdata/mappings/failures.yaml", "--data", filepath.Join(t.TempDir(), "failures"), "../../testdata/mappings/failures.csv").want(t, exitDone, `"appended": 4`, "")
	rift(t, "log", "import", "--format", "mapping", log).want(t, exitError, "", "--map")
	rift(t, "log", "import", "--explain", "2", log).want(t, exitError, "", "--map")
	rift(t, "log", "import", "--map", "slurm", "--format", "openb", log).want(t, exitError, "", "--format openb")
	rift(t, "replay", "--format", "mapping", log).want(t, exitError, "", "rift log import --map")
}
