package recorded

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// Format is a format of recordings. It is detected from the content of a file, not from
// its name.
type Format struct {
	Name  string `json:"name"`
	About string `json:"about"`

	wants string           // describes its form in errors
	share float64          // share of the sample's lines that must have its form
	form  func(sample) int // counts the lines of a sample that have its form
	least float64          // share of all lines or records that must be understood
	feeds func(r *reading, files []int) []iter.Seq2[domain.Envelope, error]
}

// Formats lists the formats in the order in which they are tried.
func Formats() []Format {
	return []Format{
		{"jsonl", "events as lines, in the shape of GET /events", "objects with stream, type, time and data", 0.5, formJSONL, 0.5, feedsJSONL},
		{"openb", "pods and nodes of a GPU cluster, as the CSV files of the OpenB trace of 2023", "the columns of a node list (sn, cpu_milli, …) or of a pod list (name, cpu_milli, …)", 1, formOpenB, 0.5, feedsOpenB},
		{"faults", "faults of GPU nodes with their starts and ends, as a JSON array", "a JSON array of records with node_id, event_time and event_type", 1, formFaults, 0.5, feedsFaults},
		{"ringrift", "the text logs of the original orchestrator", "lines like 2026-01-14 00:37:35,802 - logger - INFO - …", 0.1, formRingRift, 0.001, feedsRingRift},
		{MappingFormat, "lines, CSV or JSON of any kind, by the rules of --map", "a file with lines", 1, formMapping, 0, feedsMapping},
	}
}

func formatNames() string {
	var names []string
	for _, format := range Formats() {
		names = append(names, format.Name)
	}
	return strings.Join(names, ", ")
}

// File is a recording of a known format.
type File struct {
	Path   string
	Format string

	size      int64
	beginning string // its first lines
	first     place  // of the first event of the format jsonl
}

// place is the position and id of an event in its log.
type place struct {
	Position domain.Position `json:"position"`
	ID       string          `json:"id"`
}

// Found is the recordings at some paths.
type Found struct {
	Files   []File
	LeftOut []LeftOut // files that are not recordings, in folders or with lenient
}

// LeftOut is a file that was not read, and why.
type LeftOut struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// InOneLog returns the files in the order of their positions if they are parts of one log
// in the format jsonl; false if they are not.
func (f Found) InOneLog() ([]string, bool) {
	files := slices.Clone(f.Files)
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(a.first.Position, b.first.Position) })
	paths := []string{}
	for i, file := range files {
		if file.Format != "jsonl" || len(files) > 1 && file.first.Position == 0 || i > 0 && file.first.Position == files[i-1].first.Position {
			return nil, false
		}
		paths = append(paths, file.Path)
	}
	return paths, true
}

// Detect returns the recordings at paths, each with the format that its content has. With
// a format given, only that is tried. A file of no format is an Invalid error that names
// the formats tried; in a folder, or with lenient, it is left out unless no file remains.
// A file without a line is always left out.
func Detect(paths []string, format string, lenient bool) (Found, error) {
	formats := slices.DeleteFunc(Formats(), func(f Format) bool { return f.Name == MappingFormat && format != f.Name })
	if format != "" {
		formats = slices.DeleteFunc(formats, func(f Format) bool { return f.Name != format })
		if len(formats) == 0 {
			return Found{}, domain.Errorf(domain.Invalid, "format %q: want one of %s", format, formatNames())
		}
	}
	var found Found
	var refused error
	for _, path := range paths {
		files, leftOut, folder, err := filesOf(path)
		if err != nil {
			return found, err
		}
		found.LeftOut = append(found.LeftOut, leftOut...)
		for _, path := range files {
			file, lines, err := detect(path, formats)
			switch {
			case err == nil && lines > 0:
				found.Files = append(found.Files, file)
				continue
			case err == nil:
				found.LeftOut = append(found.LeftOut, LeftOut{path, path + ": it is empty"})
				continue
			case !folder && !lenient || domain.CodeOf(err) != domain.Invalid:
				return found, err
			}
			refused = errors.Join(refused, err)
			found.LeftOut = append(found.LeftOut, LeftOut{path, err.Error()})
		}
	}
	if len(found.Files) == 0 {
		return found, refused
	}
	slices.SortStableFunc(found.Files, func(a, b File) int {
		return strings.Compare(filepath.Base(a.Path), filepath.Base(b.Path))
	})
	return found, nil
}

// sample is the first lines of a file that are not blank.
type sample struct {
	lines []string
	long  int64 // number of the first line that is longer than any format allows; 0: none
}

// A sample ends with the line that reaches one of these bounds.
const (
	sampleLines = 512
	sampleBytes = 256 << 10
)

// detect returns a file with the first of the formats that its sample has, and the number
// of lines in the sample.
func detect(path string, formats []Format) (File, int, error) {
	beginning, size, err := sampleOf(path)
	if err != nil || len(beginning.lines) == 0 {
		return File{Path: path}, 0, err
	}
	lines := len(beginning.lines)
	if lines == 1 && strings.Contains(beginning.lines[0], "\r") && !strings.HasPrefix(beginning.lines[0], "[") {
		return File{}, lines, domain.Errorf(domain.Invalid, "%s: want lines that end in a line feed, found one line with carriage returns in it; make them line feeds first: tr '\\r' '\\n'", path)
	}
	if kind, is := archiveOf(beginning.lines[0]); is {
		return File{}, lines, domain.Errorf(domain.Invalid, "%s: want text, as it is or packed by gzip or zstd, found %s; unpack it first", path, kind)
	}
	var tried []string
	for _, format := range formats {
		formed := format.form(beginning)
		if float64(formed) < format.share*float64(lines) || formed == 0 {
			tried = append(tried, fmt.Sprintf("%s (want %s; found %d in %d lines)", format.Name, format.wants, formed, lines))
			continue
		}
		file := File{Path: path, Format: format.Name, size: size, beginning: clip(strings.Join(beginning.lines[:min(lines, 2)], "\n"), sampleBytes)}
		if format.Name == "jsonl" {
			file.first = firstPlace(beginning)
		}
		return file, lines, nil
	}
	if beginning.long > 0 {
		return File{}, lines, domain.Errorf(domain.Invalid, "%s:%d: want at most %d bytes in a line, found more; take the line out, or break it; the file begins %q",
			path, beginning.long, jsonl.MaxLine, clip(strings.ToValidUTF8(beginning.lines[0], "�"), 100))
	}
	return File{}, lines, domain.Errorf(domain.Invalid, "%s: nothing of it is understood; tried %s; it begins %q", path, strings.Join(tried, ", "), clip(strings.ToValidUTF8(beginning.lines[0], "�"), 100))
}

func sampleOf(path string) (s sample, size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return s, 0, fileError(err)
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil {
		size = info.Size()
	}
	unpacked, err := jsonl.Unpack(file)
	if err != nil {
		return s, size, domain.Errorf(domain.Invalid, "%s: %w", path, err)
	}
	defer unpacked.Close()
	held := 0
	for line, err := range jsonl.Lines(unpacked, path, jsonl.MaxLine) {
		if err != nil {
			return s, size, domain.Errorf(domain.Invalid, "%w", err)
		}
		text := bytes.TrimSpace(line.Text)
		if len(text) == 0 {
			continue
		}
		if line.TooLong && s.long == 0 {
			s.long = line.Number
		}
		s.lines = append(s.lines, string(text))
		if held += len(text); held >= sampleBytes || len(s.lines) == sampleLines {
			break
		}
	}
	return s, size, nil
}

// archives are the magic numbers of archives and of compressions that jsonl.Unpack does
// not undo.
var archives = []struct {
	at    int
	magic string
	kind  string
}{
	{0, "PK\x03\x04", "a zip archive"},
	{257, "ustar", "a tar archive"},
	{0, "BZh", "bzip2"},
	{0, "\xfd7zXZ\x00", "xz"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{0, "\x1f\x8b", "gzip, packed twice"},
	{0, "\x28\xb5\x2f\xfd", "zstd, packed twice"},
}

func archiveOf(first string) (kind string, is bool) {
	for _, a := range archives {
		if len(first) > a.at && strings.HasPrefix(first[a.at:], a.magic) {
			return a.kind, true
		}
	}
	return "", false
}

// formJSONL counts objects with a stream or a type, and comments beside them.
func formJSONL(s sample) int {
	formed, comments := 0, 0
	for _, line := range s.lines {
		if line[0] == '#' {
			comments++
			continue
		}
		var event struct {
			Stream *string `json:"stream"`
			Type   *string `json:"type"`
		}
		if json.Unmarshal([]byte(line), &event) == nil && (event.Stream != nil || event.Type != nil) {
			formed++
		}
	}
	if formed == 0 {
		return 0
	}
	return formed + comments
}

// firstPlace returns the place of the first event; zero if it has none.
func firstPlace(s sample) place {
	for _, line := range s.lines {
		var first place
		if line[0] != '#' && json.Unmarshal([]byte(line), &first) == nil {
			return first
		}
	}
	return place{}
}

// The columns of a list of nodes and of a list of pods.
var (
	nodeColumns = []string{"sn", "cpu_milli", "memory_mib", "gpu", "model"}
	podColumns  = []string{"name", "cpu_milli", "memory_mib", "num_gpu", "pod_phase", "creation_time", "deletion_time", "scheduled_time"}
)

// formOpenB counts all lines if the header has the columns of either list.
func formOpenB(s sample) int {
	header, err := csv.NewReader(strings.NewReader(s.lines[0])).Read()
	if err != nil {
		return 0
	}
	has := func(columns []string) bool {
		return !slices.ContainsFunc(columns, func(column string) bool { return !slices.Contains(header, column) })
	}
	if has(nodeColumns) || has(podColumns) {
		return len(s.lines)
	}
	return 0
}

// formFaults counts all lines of an array whose first record has a key of a fault.
func formFaults(s sample) int {
	decoder := json.NewDecoder(strings.NewReader(strings.Join(s.lines, "\n")))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return 0
	}
	if !decoder.More() {
		return len(s.lines)
	}
	var record map[string]json.RawMessage
	err := decoder.Decode(&record)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0
	}
	for _, key := range []string{"node_id", "event_time", "event_type"} {
		if _, has := record[key]; has || err != nil && strings.Contains(s.lines[0], key) {
			return len(s.lines)
		}
	}
	return 0
}

// formRingRift counts lines that begin with a stamp. They may be few, because the other
// lines of a record of several lines have none.
func formRingRift(s sample) int {
	formed := 0
	for _, line := range s.lines {
		if _, _, ok := stamp(line); ok {
			formed++
		}
	}
	return formed
}

// checkUnderstood returns an Invalid error if too few lines of a format were understood.
func (r *reading) checkUnderstood() error {
	for _, format := range Formats() {
		var all, said int64
		var names []string
		for i, file := range r.files {
			if file.Format != format.Name {
				continue
			}
			names = append(names, file.Path)
			report := &r.report.Files[i]
			all += report.Lines - report.Account.Blank
			said += report.Account.Events + report.Account.Folded + report.Account.Skipped + report.Account.Context
		}
		said -= r.report.broken[format.Name]
		if format.Name == "jsonl" && r.report.wrong >= said {
			said = 0 // not one event that the catalogue takes
		}
		if all == 0 || said > 0 && float64(said) >= format.least*float64(all) {
			continue
		}
		if format.Name == MappingFormat {
			return domain.Errorf(domain.Invalid, "%s: no rule of the mapping takes any of %d lines or records; --explain NUMBER says of one of them why not", strings.Join(names, ", "), all)
		}
		return domain.Errorf(domain.Invalid, "%s: %d of %d lines say something as %s, want at least %g %%; tried %s",
			strings.Join(names, ", "), said, all, format.Name, 100*format.least, r.report.Format)
	}
	return nil
}
