package recorded

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// Report accounts for every line of an import: whether it became an event, was not news,
// or could not be used, and why.
type Report struct {
	Format     string          `json:"format"`
	Files      []FileReport    `json:"files"`
	Rows       []RowReport     `json:"rows,omitempty"`   // lines per pattern, before folding
	Events     []TypeCount     `json:"events,omitempty"` // events made, per type
	Folded     []Reason        `json:"folded,omitempty"`
	Skipped    []Reason        `json:"skipped,omitempty"`
	Faulty     []Reason        `json:"faulty,omitempty"`         // events of the format jsonl that the catalogue would refuse; they are kept
	NotKnown   []string        `json:"not_understood,omitempty"` // the first lines that no pattern matches
	LeftOut    []LeftOut       `json:"left_out,omitempty"`       // files that are not recordings
	Notes      []string        `json:"notes,omitempty"`          // what the recording does not say
	Lines      int64           `json:"lines"`
	Account    Account         `json:"account"` // its numbers add up to Lines
	Mapped     int64           `json:"mapped"`  // events made
	Appended   int64           `json:"appended"`
	Duplicates int64           `json:"duplicates"`
	Late       int64           `json:"late"`              // appended, though older than the end of the log
	Repeats    int64           `json:"repeats,omitempty"` // events of the log that were no change after these recordings
	Head       domain.Position `json:"head"`

	rows    map[string]*RowReport
	events  map[string]int64
	folded  map[string]*Reason
	skipped map[string]*Reason
	faulty  map[string]*Reason
	broken  map[string]int64 // lines and records, by format
	folds   int64
	skips   int64
	wrong   int64 // faulty events
}

// Account counts each line or record once.
type Account struct {
	Events        int64 `json:"events"`  // became events, including those that the log had already
	Folded        int64 `json:"folded"`  // were no news
	Skipped       int64 `json:"skipped"` // could not be used
	Context       int64 `json:"context"` // explain others
	Blank         int64 `json:"blank"`   // empty lines and comments
	NotUnderstood int64 `json:"not_understood"`
}

func (a *Account) add(b Account) {
	a.Events += b.Events
	a.Folded += b.Folded
	a.Skipped += b.Skipped
	a.Context += b.Context
	a.Blank += b.Blank
	a.NotUnderstood += b.NotUnderstood
}

// notUnderstood keeps the first lines that no pattern matches.
func (r *Report) notUnderstood(line string) {
	if len(r.NotKnown) < maxExamples {
		r.NotKnown = append(r.NotKnown, clip(visible(line), 200))
	}
}

// FileReport counts the lines of one file and what is odd about them.
type FileReport struct {
	Name           string         `json:"name"`
	Format         string         `json:"format"`
	Node           string         `json:"node,omitempty"` // the node that wrote it
	Lines          int64          `json:"lines"`
	Account        Account        `json:"account"`
	Unstamped      int64          `json:"unstamped,omitempty"`       // lines without a time of their own
	InvalidUTF8    int64          `json:"invalid_utf8,omitempty"`    // lines that are not UTF-8
	TooLong        int64          `json:"too_long,omitempty"`        // lines cut at maxLine
	ClockBackwards int64          `json:"clock_backwards,omitempty"` // stamps earlier than the one before
	LargestStep    domain.Seconds `json:"largest_step_back_seconds,omitempty"`
	First          *time.Time     `json:"first,omitempty"`
	Last           *time.Time     `json:"last,omitempty"`
}

// RowReport counts the lines of one pattern, in total and per file.
type RowReport struct {
	Row     string  `json:"row"`
	Lines   int64   `json:"lines"`
	PerFile []int64 `json:"per_file"`         // in the order of Files
	Events  int64   `json:"events"`           // events made of them
	Folded  int64   `json:"folded,omitempty"` // lines that were no news
	Skipped int64   `json:"skipped,omitempty"`
	Context bool    `json:"context,omitempty"` // lines that explain others
}

// TypeCount counts the events of a type.
type TypeCount struct {
	Type  string `json:"type"`
	Count int64  `json:"count"`
}

// Reason is a reason for which lines did not become events.
type Reason struct {
	Row      string   `json:"row,omitempty"`
	Why      string   `json:"why"`
	Count    int64    `json:"count"`
	Examples []string `json:"examples,omitempty"` // the first few, "file:line: text"
}

const maxExamples = 3

// maxReasons bounds the distinct reasons kept; the rest are counted together.
const maxReasons = 200

func newReport(format string) *Report {
	return &Report{Format: format, rows: map[string]*RowReport{}, events: map[string]int64{}, folded: map[string]*Reason{}, skipped: map[string]*Reason{}, faulty: map[string]*Reason{}, broken: map[string]int64{}}
}

func (r *Report) row(name string, files int) *RowReport {
	row := r.rows[name]
	if row == nil {
		row = &RowReport{Row: name, PerFile: make([]int64, files)}
		r.rows[name] = row
		r.Rows = append(r.Rows, RowReport{Row: name}) // keeps the order; filled in by finish
	}
	return row
}

func note(reasons map[string]*Reason, row, why, example string) {
	key := row + "\x00" + why
	reason := reasons[key]
	if reason == nil {
		if len(reasons) >= maxReasons {
			key, why, row = "", "other reasons", ""
		}
		if reason = reasons[key]; reason == nil {
			reason = &Reason{Row: row, Why: why}
			reasons[key] = reason
		}
	}
	reason.Count++
	if len(reason.Examples) < maxExamples && example != "" {
		reason.Examples = append(reason.Examples, clip(visible(example), 200))
	}
}

// finish fills in the sums, the sorted lists and the notes.
func (r *Report) finish() {
	for i := range r.Rows {
		r.Rows[i] = *r.rows[r.Rows[i].Row]
	}
	r.Lines, r.Account = 0, Account{}
	for _, file := range r.Files {
		r.Lines += file.Lines
		r.Account.add(file.Account)
	}
	if r.wrong > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d events are kept as they are, though the catalogue would refuse them (faulty): what reads them passes them over; rift catalog TYPE shows what an event is", r.wrong))
	}
	if r.Repeats > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d events of the log repeat what these recordings say of an earlier time: their lines were imported first", r.Repeats))
	}
	if r.Late > 0 {
		late := fmt.Sprintf("%d events are older than what the log ended with and stand behind it, for a log grows at its end; imported together into a new folder, recordings stand in the order of their times", r.Late)
		if len(r.rows) > 0 {
			late += ". Lines that were imported before and come after these may be news only now: importing those files again adds that"
		}
		r.Notes = append(r.Notes, late)
	}
	r.Events = nil
	for _, eventType := range slices.Sorted(maps.Keys(r.events)) {
		r.Events = append(r.Events, TypeCount{eventType, r.events[eventType]})
	}
	sorted := func(reasons map[string]*Reason) []Reason {
		var list []Reason
		for _, key := range slices.Sorted(maps.Keys(reasons)) {
			list = append(list, *reasons[key])
		}
		slices.SortStableFunc(list, func(a, b Reason) int { return int(b.Count - a.Count) })
		return list
	}
	r.Folded, r.Skipped, r.Faulty = sorted(r.folded), sorted(r.skipped), sorted(r.faulty)
}

func clip(text string, length int) string {
	if len(text) <= length {
		return text
	}
	return strings.ToValidUTF8(text[:length], "") + "…"
}
