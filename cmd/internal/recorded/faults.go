package recorded

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// faultsEpoch is taken as day 0 of the trace, whose times are in days.
var faultsEpoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// faultRecord is the start or the end of a fault.
type faultRecord struct {
	NodeID    string   `json:"node_id"`
	EventTime *float64 `json:"event_time"` // days
	EventType string   `json:"event_type"`
	FaultType struct {
		Level string `json:"Level"`
		Class string `json:"Class"`
		Desc  string `json:"Desc"`
	} `json:"fault_type"`
}

const (
	faultStart = "fault_start"
	faultEnd   = "fault_end"
)

// faultLine is a record with its place.
type faultLine struct {
	file   int
	place  string
	cause  string
	at     time.Time
	record faultRecord
}

// feedsFaults merges all files by time. A node is unhealthy from its first fault until
// the end of the last of overlapping ones.
func feedsFaults(r *reading, files []int) []iter.Seq2[domain.Envelope, error] {
	r.report.Notes = append(r.report.Notes, "day 0 of the trace is taken as "+faultsEpoch.Format(time.RFC3339))
	for _, row := range []string{faultStart, faultEnd} {
		r.report.row(row, len(r.files))
	}
	return []iter.Seq2[domain.Envelope, error]{r.feed(func(own *reading) error {
		known := newKnowledge(own)
		var lists []iter.Seq2[faultLine, error]
		for _, i := range files {
			lists = append(lists, own.faultFile(i))
		}
		records := merged(lists, func(l faultLine) time.Time { return l.at }, func(a, b faultLine) int { return strings.Compare(a.cause, b.cause) })
		for line, err := range records {
			if err == nil {
				err = own.account(line.file, func() error { return own.fault(line, known) })
			}
			if err != nil {
				return err
			}
		}
		return known.end()
	})}
}

// faultFile yields the valid records of a file.
func (r *reading) faultFile(i int) iter.Seq2[faultLine, error] {
	return func(yield func(faultLine, error) bool) {
		if err := r.eachFault(i, func(line faultLine) error {
			if !yield(line, nil) {
				return errStopped
			}
			return nil
		}); err != nil && !errors.Is(err, errStopped) {
			yield(faultLine{}, err)
		}
	}
}

func (r *reading) eachFault(i int, take func(faultLine) error) error {
	text, err := r.unpacked(i)
	if err != nil {
		return err
	}
	source := jsonl.NewRecords(text, maxLine)
	decoder := json.NewDecoder(source)
	wrong := func(n int64, err error) error {
		return domain.Errorf(domain.Invalid, "%s, record %d (byte %d): %w", r.files[i].Path, n, decoder.InputOffset(), err)
	}
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return wrong(0, errors.Join(domain.Errorf(domain.Invalid, "want a JSON array of fault records"), err))
	}
	var clock time.Time
	var ordinals jsonl.Ordinals
	for n := int64(1); decoder.More(); n++ {
		if err := r.line(i); err != nil {
			return err
		}
		source.Next()
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return wrong(n, err) // the next record cannot be found behind broken JSON
		}
		line := faultLine{file: i, place: recording(r.files[i].Path) + ":" + strconv.FormatInt(n, 10)}
		err := json.Unmarshal(raw, &line.record)
		if err == nil {
			err = line.record.check()
		}
		if err != nil {
			r.report.Files[i].Account.Skipped++
			if err := r.broken(line.place, domain.Errorf(domain.Invalid, "%w", err)); err != nil {
				return err
			}
			continue
		}
		line.at = faultsEpoch.Add(time.Duration(math.Round(*line.record.EventTime*86400e6)) * time.Microsecond)
		if back := clock.Sub(line.at); back > 0 {
			r.report.Files[i].ClockBackwards++
			r.report.Files[i].LargestStep = max(r.report.Files[i].LargestStep, domain.Seconds(back.Seconds()))
		}
		clock = line.at
		said, err := json.Marshal(line.record)
		if err != nil {
			return wrong(n, err)
		}
		line.cause = lineCause(&ordinals, line.at, string(said))
		if err := take(line); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return wrong(r.report.Files[i].Lines, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return wrong(r.report.Files[i].Lines, domain.Errorf(domain.Invalid, "want nothing behind the array"))
	}
	return nil
}

func (f faultRecord) check() error {
	var faults []domain.Fault
	if err := domain.CheckName(f.NodeID); err != nil {
		faults = append(faults, domain.Fault{Field: "node_id", Reason: err.Error()})
	}
	if f.EventTime == nil || !(*f.EventTime >= 0 && *f.EventTime <= 36600) {
		faults = append(faults, domain.Fault{Field: "event_time", Reason: "want days from 0 to 36600"})
	}
	if f.EventType != faultStart && f.EventType != faultEnd {
		faults = append(faults, domain.Fault{Field: "event_type", Reason: "want fault_start or fault_end, found " + strconv.Quote(clip(f.EventType, 40))})
	}
	return domain.Faulty("fault record", faults)
}

func (r *reading) fault(line faultLine, known *knowledge) error {
	record, kind := line.record, line.record.EventType
	row := r.report.rows[kind]
	row.Lines++
	row.PerFile[line.file]++
	folded := func(why string) error {
		r.fold(kind, why, line.place+": "+record.NodeID)
		return nil
	}
	if known.read.before(line.cause) {
		return folded("the same record was read before: files overlap")
	}
	node, err := known.nodeOf(record.NodeID, line.at)
	if err != nil {
		return err
	}
	if node.level == unhealthy && node.faults == 0 {
		node.faults = 1 // of which the log has the start
	}
	id := domain.NodeID(record.NodeID)
	said := fact{stream: id.Stream(), cause: line.cause, time: line.at, row: kind, place: line.place, meta: domain.Meta{Correlation: line.place}}
	switch {
	case kind == faultStart && node.faults > 0:
		node.faults++
		return folded("the node had a fault already")
	case kind == faultStart:
		node.faults, node.sick = 1, line.at
		node.setByLine(unhealthy, line.at)
		said.event = nodes.Unhealthy{NodeID: id, Reason: first(record.reason(), "fault")}
		return r.emit(said)
	case node.faults == 0:
		return folded("the node had no fault")
	case node.faults > 1:
		node.faults--
		return folded("the node has another fault still")
	}
	node.faults = 0
	node.setByLine(online, line.at)
	said.event = nodes.Recovered{NodeID: id, RecoveryTimeSeconds: domain.Seconds(max(line.at.Sub(node.sick), 0).Seconds())}
	return r.emit(said)
}

// reason returns "class: description", or what there is of it.
func (f faultRecord) reason() string {
	if f.FaultType.Class == "" || f.FaultType.Desc == "" {
		return clip(first(f.FaultType.Desc, f.FaultType.Class), 200)
	}
	return clip(f.FaultType.Class+": "+f.FaultType.Desc, 200)
}
