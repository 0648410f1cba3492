package recorded

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/mapping"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

func fileWith(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestALongFirstLineTellsTheFormat(t *testing.T) {
	event := func(length int) string { // white space, for payloads are smaller
		return `{"stream":"admin-a","type":"ONE","time":"2026-03-01T12:00:00Z",` + strings.Repeat(" ", length) + `"data":{}}` + "\n"
	}
	log := eventlog.NewMemory()
	report, err := Import(t.Context(), log, catalog(t), "", []string{fileWith(t, "log", event(7_000_000)+event(0))}, Options{})
	if err != nil || report.Appended != 2 || report.Format != "jsonl" {
		t.Errorf("want two events of jsonl, found %+v, %v", report, err)
	}
	path := fileWith(t, "log", event(jsonl.MaxLine))
	_, err = Detect([]string{path}, "", false)
	if want := path + ":1: want at most 8388608 bytes in a line, found more"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("want %q, found %v", want, err)
	}
	if found, err := Detect([]string{fileWith(t, "log", event(jsonl.MaxLine)+event(0)+event(1))}, "", true); err != nil || len(found.Files) != 1 {
		t.Errorf("want a file of which one line is too long, found %+v, %v", found, err)
	}
}

func TestARecordIsBoundedInEveryFormat(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	tables := func(lines string) *mapping.Mapping {
		m, err := mapping.Parse([]byte("lines: "+lines+"\ntime: {from: \"2026-01-01T00:00:00Z\", layouts: [rfc3339]}\nrules:\n- event: NODE_RECOVERED\n  values: {node_id: \"{sn}\"}\n"), catalog(t))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, test := range map[string]struct {
		format, text, place string
		by                  *mapping.Mapping
	}{
		"openb":  {"openb", "sn,cpu_milli,memory_mib,gpu,model\nn1,1,1,1,A\nn2,1,1,1,\"" + long + "\"\n", ", behind the row of line 2: ", nil},
		"faults": {"faults", `[{"node_id":"a","event_time":1,"event_type":"fault_start"},` + "\n" + `{"node_id":"` + long + `"}]`, ", record 2 (byte ", nil},
		"csv":    {MappingFormat, "sn,why\nn1,a\nn2,\"" + long + "\"\n", ", behind the record of line 2: ", tables("csv")},
		"json":   {MappingFormat, "[{\"sn\":\"n1\"},\n{\"sn\":\"" + long + "\"}]\n", ", record 2: ", tables("json")},
	} {
		path := fileWith(t, "recording", test.text)
		_, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), test.format, []string{path}, Options{Mapping: test.by})
		if err == nil || !strings.HasPrefix(err.Error(), path+test.place) || !strings.Contains(err.Error(), "want at most 1048576 bytes in a record, found more; take the record out") {
			t.Errorf("%s: want the bound and %q, found %v", name, test.place, err)
		}
	}
}

func TestAnArchiveIsNamed(t *testing.T) {
	line := []byte("2026-01-14 00:37:35,802 - logger - INFO - all is well\n")
	var tape, zipped bytes.Buffer
	taped := tar.NewWriter(&tape)
	header := taped.WriteHeader(&tar.Header{Name: "a.log", Size: int64(len(line)), Mode: 0o600})
	_, body := taped.Write(line)
	inside := zip.NewWriter(&zipped)
	entry, opened := inside.Create("a.log")
	for _, err := range []error{header, body, taped.Close(), opened} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := entry.Write(line); err != nil {
		t.Fatal(err)
	}
	if err := inside.Close(); err != nil {
		t.Fatal(err)
	}
	twice := pack(t, pack(t, line))
	for kind, content := range map[string][]byte{
		"a tar archive": tape.Bytes(), "a zip archive": zipped.Bytes(), "gzip, packed twice": twice,
	} {
		_, err := Detect([]string{fileWith(t, "recording", string(content))}, "", false)
		if err == nil || !strings.HasSuffix(err.Error(), "found "+kind+"; unpack it first") || domain.CodeOf(err) != domain.Invalid {
			t.Errorf("want %s named, found %v", kind, err)
		}
	}
	if _, err := Detect([]string{fileWith(t, "recording", string(pack(t, line)))}, "", false); err != nil {
		t.Errorf("want a recording, found %v", err)
	}
}

func pack(t *testing.T, text []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := jsonl.Pack("a.gz", &packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.Copy(w, bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// A file that has no end, or can be read only once, is refused before it is opened. In a
// folder it is left out and named, like everything else that is not read.
func TestWhatIsNoFileIsNamed(t *testing.T) {
	line := "2026-01-14 00:37:35,802 - elo - INFO - Merged 12 new matches from remote\n"
	folder := t.TempDir()
	for name, content := range map[string]string{"a.log": line, ".hidden": line, "inside/b.log": line} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	links := map[string]string{"zero": "/dev/zero", "link.log": filepath.Join("inside", "b.log"), "nowhere": "missing"}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(folder, name)); err != nil {
			t.Skipf("symbolic links cannot be made here: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "zero")); err != nil {
		t.Skip("there is no /dev/zero here")
	}
	if _, err := Detect([]string{filepath.Join(folder, "zero")}, "", false); err == nil || !strings.Contains(err.Error(), "want a file or a folder, found a device") {
		t.Errorf("want a device refused, found %v", err)
	}
	found, err := Detect([]string{folder}, "", false)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, file := range found.LeftOut {
		left = append(left, strings.TrimPrefix(file.Path, folder))
	}
	if want := "/inside /nowhere /zero"; strings.Join(left, " ") != want || len(found.Files) != 2 {
		t.Errorf("want two files, and %s left out; found %+v", want, found)
	}
}

// Errors name the fault of a text.
func TestTextsThatAreNoneAreNamed(t *testing.T) {
	const line = "2026-01-14 00:37:35,802 - elo - INFO - Merged 12 new matches from remote"
	whole := pack(t, []byte(strings.Repeat(line+"\n", 99)))
	for want, content := range map[string]string{
		"found one line with carriage returns in it":                      line + "\r" + line + "\r",
		"the packed text is cut off":                                      string(whole[:len(whole)-9]),
		"the packed text is damaged, or something else follows it":        string(whole) + "something else",
		"want text, as it is or packed by gzip or zstd, found gzip, pack": string(pack(t, whole)),
	} {
		_, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), "", []string{fileWith(t, "recording", content)}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || domain.CodeOf(err) != domain.Invalid {
			t.Errorf("want %q, found %v", want, err)
		}
	}
}

// Concatenated tables repeat their header, and a row of another length is a fault of the
// recording.
func TestRowsThatAreNoRecords(t *testing.T) {
	const header = "sn,cpu_milli,memory_mib,gpu,model\n"
	m, err := mapping.Parse([]byte("lines: csv\ntime: {from: \"{gpu}\", layouts: [unix]}\nrules:\n- {event: NODE_RECOVERED, values: {node_id: \"{sn}\"}}\n"), catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	for format, options := range map[string]Options{"openb": {}, MappingFormat: {Mapping: m}} {
		report, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), format, []string{fileWith(t, "nodes.csv", header+"n1,1,1,1,A\n"+header+"n2,1,1,2,A\n")}, options)
		if err != nil || report.Account.Events != 2 || report.Account.Blank == 0 || report.Account.Skipped != 0 {
			t.Errorf("%s: want two records and a header, found %+v, %v", format, report.Account, err)
		}
	}
	if _, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), "openb", []string{fileWith(t, "nodes.csv", header+"n1,1\n")}, Options{}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("want a fault of the recording, found %v", err)
	}
}
