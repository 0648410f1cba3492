package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// The report on a gauntlet has every form, and its tables fit a terminal.
func TestReportGauntlet(t *testing.T) {
	folder := t.TempDir()
	server := realNode(t, folder)
	rift(t, "gauntlet", "execute", "hex8_2p", "m2", "--baselines", "m1", "--games", "40", "--elo0", "0", "--elo1", "20", "--addr", server.URL).want(t, exitDone, "hex8_2p:m2", "")
	for _, form := range []struct{ args, want string }{
		{"-o table", "Gauntlet hex8_2p:m2 is running: 0 of at most 40 games\n"},
		{"-o md", "# Gauntlet hex8_2p:m2 is running"},
		{"-o csv", "part,games,llr,lower,upper,elo,error,judged\n"},
		{"-o json", `"gauntlet_id": "hex8_2p:m2"`},
		{"-o svg", "</svg>"},
	} {
		got := rift(t, append([]string{"report", "gauntlet", "--addr", server.URL}, strings.Fields(form.args)...)...)
		got.want(t, exitDone, form.want, "")
		if form.args != "-o json" && form.args != "-o svg" {
			got.want(t, exitDone, "1 event folded, digest ", "")
		}
		if form.args == "-o table" {
			for line := range strings.Lines(got.stdout) {
				if len(strings.TrimSpace(line)) > 80 && !strings.HasPrefix(line, "log positions") {
					t.Errorf("want 80 columns, found %q", line)
				}
			}
		}
	}
	rift(t, "report", "gauntlet", "--addr", server.URL, "--gauntlet-id", "hex8_2p:other").want(t, exitError, "", "gauntlets are listed by: rift gauntlet results")
	file := filepath.Join(t.TempDir(), "log.jsonl")
	rift(t, "log", "export", "--data", sampleFolder(t), file).want(t, exitDone, "", "")
	rift(t, "report", "gauntlet", file).want(t, exitError, "", "nothing that a report on the gauntlet tells of happened")
}
