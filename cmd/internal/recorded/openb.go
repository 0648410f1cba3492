package recorded

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/agenda"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// openBEpoch is taken as second 0 of the trace, whose times are in seconds.
var openBEpoch = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)

// openBUnbounded is a deadline beyond the end of the trace, because pods had no lease.
const openBUnbounded domain.Seconds = 366 * 24 * 3600

// feedsOpenB reads the node lists first, at second 0, and then merges all pod lists by
// time. A pod list is in the order of creation, so only the pods that are alive at one
// time are held in memory.
func feedsOpenB(r *reading, files []int) []iter.Seq2[domain.Envelope, error] {
	r.report.Notes = append(r.report.Notes,
		`which node ran a pod is not in the trace: node_id is "unrecorded"`,
		"second 0 of the trace is taken as "+openBEpoch.Format(time.RFC3339),
		"a failed pod is not tried again: TASK_FAILED is followed by TASK_DEAD",
		"a pod that was deleted while pending or running is cancelled; one that runs when the trace ends stays running")
	return []iter.Seq2[domain.Envelope, error]{r.feed(func(own *reading) error { return own.openB(files) })}
}

func (r *reading) openB(files []int) error {
	var pods []int
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b int) int { return strings.Compare(r.files[a].beginning, r.files[b].beginning) })
	for _, i := range files {
		table, err := r.csv(i)
		if err != nil {
			return err
		}
		switch {
		case table.has(nodeColumns...):
			if err := r.openBNodes(table); err != nil {
				return err
			}
		case table.has(podColumns...):
			pods = append(pods, i)
		default:
			return domain.Errorf(domain.Invalid, "%s:1: want the columns of a node list (sn, cpu_milli, …) or of a pod list (name, cpu_milli, …), found %s", r.files[i].Path, strings.Join(table.header, ", "))
		}
	}
	r.close()
	if len(pods) == 0 {
		return nil
	}
	end, err := r.openBEnd(pods)
	if err != nil {
		return err
	}
	return r.openBPods(pods, end)
}

// table is a CSV file with named columns.
type table struct {
	r       *reading
	file    int
	header  []string
	columns map[string]int
	source  *jsonl.Records
	rows    *csv.Reader
	row     []string
	line    int
	quiet   bool // a first pass, in which nothing is counted
}

func (r *reading) csv(i int) (*table, error) {
	text, err := r.unpacked(i)
	if err != nil {
		return nil, err
	}
	source := jsonl.NewRecords(text, maxLine)
	t := &table{r: r, file: i, source: source, rows: csv.NewReader(source), columns: map[string]int{}, line: 1}
	t.rows.ReuseRecord = true
	header, err := t.rows.Read()
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "%s:1: want a header: %w", r.files[i].Path, err)
	}
	t.header = slices.Clone(header)
	for c, name := range t.header {
		t.header[c] = strings.TrimSpace(name)
		t.columns[t.header[c]] = c
	}
	return t, nil
}

func (t *table) has(columns ...string) bool {
	for _, column := range columns {
		if _, ok := t.columns[column]; !ok {
			return false
		}
	}
	return true
}

// next reads a row; false at the end.
func (t *table) next() (bool, error) {
	for {
		t.source.Next()
		row, err := t.rows.Read()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err == nil {
			t.row = row
			t.line, _ = t.rows.FieldPos(0)
			again := slices.Equal(row, t.header) // a header between concatenated tables
			if !t.quiet {
				if err := t.r.line(t.file); err != nil {
					return false, err
				}
				if again {
					t.r.report.Files[t.file].Account.Blank++
				}
			}
			if !again {
				return true, nil
			}
			continue
		}
		var wrong *csv.ParseError
		if !errors.As(err, &wrong) {
			err = fileError(err)
			return false, domain.Errorf(domain.CodeOf(err), "%s, behind the row of line %d: %w", t.r.files[t.file].Path, t.line, err)
		}
		if t.quiet {
			continue
		}
		if err := t.r.line(t.file); err != nil {
			return false, err
		}
		t.r.report.Files[t.file].Account.Skipped++
		if err := t.r.broken(t.place(wrong.Line), err); err != nil {
			return false, err
		}
	}
}

func (t *table) place(line int) string {
	return recording(t.r.files[t.file].Path) + ":" + strconv.Itoa(line)
}

func (t *table) text(column string) string {
	if c, ok := t.columns[column]; ok {
		return t.row[c]
	}
	return ""
}

// number reads a column that may be empty.
func (t *table) number(column string) (int64, bool, error) {
	text := t.text(column)
	if text == "" {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 100*366*24*3600*1000 {
		return 0, false, domain.Errorf(domain.Invalid, "%s: want a whole number that is not negative, found %q", column, clip(text, 40))
	}
	return n, true, nil
}

func (r *reading) openBNodes(t *table) error {
	for {
		more, err := t.next()
		if err != nil || !more {
			return err
		}
		if err := r.account(t.file, func() error { return r.openBNode(t) }); err != nil {
			return err
		}
	}
}

func (r *reading) openBNode(t *table) error {
	place, id := t.place(t.line), domain.NodeID(t.text("sn"))
	facts := map[string]any{}
	for _, column := range []string{"cpu_milli", "memory_mib", "gpu"} {
		n, known, err := t.number(column)
		if err != nil {
			return r.broken(place, err)
		}
		if known {
			facts[column] = n
		}
	}
	announced := nodes.Announced{NodeID: id}
	if gpus, ok := facts["gpu"].(int64); ok && gpus > 0 {
		announced.Capabilities = []string{"gpu"}
	}
	if model := t.text("model"); model != "" {
		facts["model"] = model
		announced.Capabilities = append(announced.Capabilities, model)
	}
	encoded, err := json.Marshal(facts)
	if err != nil {
		return r.broken(place, err)
	}
	announced.Facts = encoded
	said := fact{stream: id.Stream(), time: openBEpoch, place: place, meta: domain.Meta{Correlation: place}, event: announced}
	if err := r.emit(said); err != nil {
		return err
	}
	said.event = nodes.HostOnline{NodeID: id}
	return r.emit(said)
}

// pod is one row of a pod list.
type pod struct {
	id                          domain.TaskID
	phase                       string
	created, scheduled, deleted int64
	wasScheduled, wasDeleted    bool
	place                       string
	payload                     json.RawMessage
	requires                    []string
}

func (t *table) pod() (pod, error) {
	p := pod{id: domain.TaskID(t.text("name")), phase: t.text("pod_phase"), place: t.place(t.line)}
	var faults []error
	var known bool
	var err error
	if p.created, known, err = t.number("creation_time"); err != nil {
		faults = append(faults, err)
	} else if !known {
		faults = append(faults, domain.Errorf(domain.Invalid, "creation_time: required"))
	}
	p.scheduled, p.wasScheduled, err = t.number("scheduled_time")
	faults = append(faults, err)
	p.deleted, p.wasDeleted, err = t.number("deletion_time")
	faults = append(faults, err)
	switch p.phase {
	case "Succeeded", "Failed", "Running", "Pending":
	default:
		faults = append(faults, domain.Errorf(domain.Invalid, "pod_phase: want Succeeded, Failed, Running or Pending, found %q", clip(p.phase, 40)))
	}
	if p.wasScheduled && p.scheduled < p.created || p.wasDeleted && p.deleted < max(p.created, p.scheduled) {
		faults = append(faults, domain.Errorf(domain.Invalid, "want creation ≤ scheduling ≤ deletion, found %d, %d, %d", p.created, p.scheduled, p.deleted))
	}
	if (p.phase == "Succeeded" || p.phase == "Failed") && (!p.wasScheduled || !p.wasDeleted) {
		faults = append(faults, domain.Errorf(domain.Invalid, "want the times of a pod that ended, found none"))
	}
	asked := map[string]any{}
	for _, column := range []string{"cpu_milli", "memory_mib", "num_gpu", "gpu_milli"} {
		n, known, err := t.number(column)
		faults = append(faults, err)
		if known {
			asked[column] = n
		}
	}
	for _, column := range []string{"gpu_spec", "qos"} {
		if text := t.text(column); text != "" {
			asked[column] = text
		}
	}
	if err := errors.Join(faults...); err != nil {
		return pod{}, domain.Errorf(domain.Invalid, "pod %q: %w", clip(string(p.id), 80), err)
	}
	if gpus, ok := asked["num_gpu"].(int64); ok && gpus > 0 {
		p.requires = []string{"gpu"}
	}
	p.payload, err = json.Marshal(asked)
	return p, err
}

// openBEnd returns the last second of the trace.
func (r *reading) openBEnd(files []int) (int64, error) {
	defer r.close()
	var end int64
	for _, i := range files {
		t, err := r.csv(i)
		if err != nil {
			return 0, err
		}
		t.quiet = true
		for {
			more, err := t.next()
			if err != nil {
				return 0, err
			}
			if !more {
				break
			}
			if deleted, known, err := t.number("deletion_time"); err == nil && known {
				end = max(end, deleted)
			}
		}
	}
	r.progress.Bytes = 0
	return end, nil
}

// moments adds what happens to the pod; end is the last second of the trace.
func (p pod) moments(end int64, coming *agenda.Agenda[moment]) {
	say := func(second int64, event domain.Event) {
		coming.Put(time.Duration(second), moment{p.id, p.place, event})
	}
	claimed := openBEpoch.Add(time.Duration(p.scheduled) * time.Second)
	say(p.created, work.Spawned{
		TaskID: p.id, TaskType: "pod", Priority: recordedWork.DefaultPriority, Payload: p.payload, Requires: p.requires,
		TimeoutSeconds: openBUnbounded, MaxAttempts: 1,
	})
	if p.wasScheduled {
		say(p.scheduled, work.Claimed{TaskID: p.id, Lease: 1, NodeID: nodes.Unrecorded, Attempt: 1, Deadline: claimed.Add(openBUnbounded.Duration())})
		say(p.scheduled, work.Started{TaskID: p.id, Lease: 1, NodeID: nodes.Unrecorded})
	}
	switch {
	case p.phase == "Succeeded":
		say(p.deleted, work.Completed{TaskID: p.id, Lease: 1, NodeID: nodes.Unrecorded})
	case p.phase == "Failed":
		say(p.deleted, work.Failed{TaskID: p.id, Lease: 1, NodeID: nodes.Unrecorded, Error: "pod phase Failed", Attempts: 1})
		say(p.deleted, work.Dead{TaskID: p.id, Attempts: 1, Reason: "pod phase Failed"})
	case p.wasDeleted && p.deleted < end:
		cancelled := work.Cancelled{TaskID: p.id, Reason: "deleted while " + strings.ToLower(p.phase)}
		if p.wasScheduled {
			cancelled.Lease, cancelled.NodeID = 1, nodes.Unrecorded
		}
		say(p.deleted, cancelled)
	}
}
