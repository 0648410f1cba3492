package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// A report that a node serves is byte for byte the one that `rift report` prints for its
// folder.
func TestReportsOverHTTP(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	mustRift(t, "log", "import", "--data", data, "../../testdata/logs/split_brain.log")
	told := map[string]string{}
	for _, form := range []string{"json", "md", "csv", "table", "svg"} {
		for _, kind := range []string{"queue", "nodes", "cluster"} {
			told[kind+"?form="+form] = rift(t, "report", kind, "--data", data, "-o", form, "--to", "14").stdout
		}
	}
	address, stop := serve(t, "--data", data, "--read-only")
	defer stop()
	ask := func(question string) (int, string, string) {
		t.Helper()
		response, err := http.Get("http://" + address + "/reports/" + question)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, response.Header.Get("Content-Type"), string(body)
	}
	for question, want := range told {
		status, content, found := ask(question + "&to=14")
		if strings.HasSuffix(question, "json") {
			found = strings.TrimSuffix(found[strings.Index(found, `"report":`)+len(`"report":`):], "}\n")
			var short bytes.Buffer
			if err := json.Compact(&short, []byte(want)); err != nil {
				t.Fatal(err)
			}
			want = short.String()
		}
		if status != http.StatusOK || want == "" || found != want {
			t.Errorf("%s: want 200 and\n%s\nfound %d %s\n%s", question, want, status, content, found)
		}
	}
	for question, want := range map[string]string{
		"queue?form=pdf":       "want json, md, csv, table or svg, found pdf",
		"queue?from=yesterday": "--from: want a position",
		"queue?out=/tmp/x":     `"out"`,
		// A setting that is no flag of the command would be an error of its own.
		"elo?method=mle&mode=x&anchors=x&draws=x&draw_elo=x&scale=x&mean=x&prior=x&advantage=x&drift=x&tau=x&initial=x&period=x&k=x": "no rating moved",
		"elo?config_key=--data=/":           "no rating moved",
		"gauntlet?gauntlet_id=--out=/tmp/x": "nothing that a report on the gauntlet",
	} {
		if status, _, found := ask(question); status < 400 || !strings.Contains(found, want) {
			t.Errorf("%s: want it refused for %s, found %d %s", question, want, status, found)
		}
	}
}
