package recorded

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
)

// faultsEpoch is day 0 of the trace, which says only how many days passed.
var faultsEpoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// faultRecord is one start or end of a fault.
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

// readFaults turns the faults of each node into its edges: a node with two
// faults is unhealthy once and recovers with the end of the last.
func readFaults(r *reading) error {
	r.report.Notes = append(r.report.Notes, "day 0 of the trace is taken as "+faultsEpoch.Format(time.RFC3339))
	for _, row := range []string{faultStart, faultEnd} {
		r.report.row(row, len(r.files))
	}
	for i := range r.files {
		if err := r.faultFile(i); err != nil {
			return err
		}
	}
	return nil
}

// sick is a node with open faults.
type sick struct {
	open  int
	since time.Time
}

func (r *reading) faultFile(i int) error {
	defer r.close()
	text, err := r.unpacked(i)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(text)
	wrong := func(n int64, err error) error {
		return domain.Errorf(domain.Invalid, "%s, record %d (byte %d): %w", r.files[i], n, decoder.InputOffset(), err)
	}
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return wrong(0, errors.Join(domain.Errorf(domain.Invalid, "want a JSON array of fault records"), err))
	}
	nodes := map[string]sick{}
	var clock time.Time
	for n := int64(1); decoder.More(); n++ {
		if err := r.line(i); err != nil {
			return err
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return wrong(n, err) // behind broken JSON nothing can be found again
		}
		var record faultRecord
		place := recording(r.files[i]) + ":" + strconv.FormatInt(n, 10)
		err := json.Unmarshal(raw, &record)
		if err == nil {
			err = record.check()
		}
		if err != nil {
			if err := r.broken(place, domain.Errorf(domain.Invalid, "%w", err)); err != nil {
				return err
			}
			continue
		}
		at := faultsEpoch.Add(time.Duration(math.Round(*record.EventTime*86400e6)) * time.Microsecond)
		if back := clock.Sub(at); back > 0 {
			r.report.Files[i].ClockBackwards++
			r.report.Files[i].LargestStep = max(r.report.Files[i].LargestStep, domain.Seconds(back.Seconds()))
		}
		clock = at
		if err := r.fault(i, place, at, record, nodes); err != nil {
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

func (r *reading) fault(i int, place string, at time.Time, record faultRecord, nodes map[string]sick) error {
	row := r.report.rows[record.EventType]
	row.Lines++
	row.PerFile[i]++
	node, id := nodes[record.NodeID], domain.NodeID(record.NodeID)
	said := fact{stream: id.Stream(), cause: place + "\x00" + record.NodeID, time: at, row: record.EventType, place: place, meta: domain.Meta{Correlation: place}}
	switch {
	case record.EventType == faultStart && node.open > 0:
		node.open++
		nodes[record.NodeID] = node
		r.fold(record.EventType, "the node had a fault already", place+": "+record.NodeID)
		return nil
	case record.EventType == faultStart:
		nodes[record.NodeID] = sick{1, at}
		said.event = domain.NodeUnhealthy{NodeID: id, Reason: first(record.reason(), "fault")}
		return r.emit(said)
	case node.open == 0:
		r.fold(record.EventType, "the node had no fault", place+": "+record.NodeID)
		return nil
	case node.open > 1:
		node.open--
		nodes[record.NodeID] = node
		r.fold(record.EventType, "the node has another fault still", place+": "+record.NodeID)
		return nil
	}
	delete(nodes, record.NodeID)
	said.event = domain.NodeRecovered{NodeID: id, RecoveryTimeSeconds: domain.Seconds(max(at.Sub(node.since), 0).Seconds())}
	return r.emit(said)
}

// reason is "class: description", as far as the record says.
func (f faultRecord) reason() string {
	if f.FaultType.Class == "" || f.FaultType.Desc == "" {
		return clip(first(f.FaultType.Desc, f.FaultType.Class), 200)
	}
	return clip(f.FaultType.Class+": "+f.FaultType.Desc, 200)
}
