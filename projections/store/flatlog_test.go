package store_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// flatLog is a finished log in one file, read from its start: the cheapest
// source of events there is, so that what is measured is what is done with them.
type flatLog struct {
	path string
	head domain.Position
}

var errFlat = domain.Errorf(domain.Invalid, "a flat log is only read, forwards and unfiltered")

func (l flatLog) Append(context.Context, domain.StreamID, domain.Revision, ...eventlog.Proposed) (eventlog.Receipt, error) {
	return eventlog.Receipt{}, errFlat
}

func (l flatLog) AppendMany(_ context.Context, writes []eventlog.Write) []eventlog.Written {
	written := make([]eventlog.Written, len(writes))
	for i := range written {
		written[i].Err = errFlat
	}
	return written
}

func (l flatLog) Read(context.Context, domain.StreamID, domain.Revision, eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) { yield(domain.Envelope{}, errFlat) }
}

func (l flatLog) Find(context.Context, domain.StreamID, domain.EventID) (domain.Envelope, bool, error) {
	return domain.Envelope{}, false, errFlat
}

func (l flatLog) Head(context.Context) (domain.Position, error) { return l.head, nil }

func (l flatLog) ReadAll(ctx context.Context, from domain.Position, _ eventlog.Direction, _ eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		file, err := os.Open(l.path)
		if err != nil {
			yield(domain.Envelope{}, err)
			return
		}
		defer file.Close()
		reader := bufio.NewReaderSize(file, 256<<10)
		var lengths [16]byte
		for position := domain.Position(1); position <= l.head && ctx.Err() == nil; position++ {
			if _, err := io.ReadFull(reader, lengths[:]); err != nil {
				yield(domain.Envelope{}, err)
				return
			}
			stream, kind := int(binary.BigEndian.Uint16(lengths[0:])), int(binary.BigEndian.Uint16(lengths[2:]))
			data := int(binary.BigEndian.Uint32(lengths[4:]))
			record := make([]byte, stream+kind+data)
			if _, err := io.ReadFull(reader, record); err != nil {
				yield(domain.Envelope{}, err)
				return
			}
			if position < from {
				continue
			}
			e := domain.Envelope{
				Position: position, Stream: domain.StreamID(record[:stream]), Type: string(record[stream : stream+kind]),
				Version: 1, Time: time.UnixMicro(int64(binary.BigEndian.Uint64(lengths[8:]))).UTC(),
				Data: record[stream+kind:],
			}
			binary.BigEndian.PutUint64(e.ID[:], uint64(position))
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l flatLog) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		for e, err := range l.ReadAll(ctx, after+1, eventlog.Forward, filter) {
			if !yield(eventlog.Item{Envelope: e, Position: e.Position}, err) || err != nil {
				return
			}
		}
		if ctx.Err() == nil && yield(eventlog.Item{Position: l.head, CaughtUp: true}, nil) {
			<-ctx.Done()
		}
	}
}

// writeFlat writes n events of a queue's life, about 256 bytes each with stream
// and type: items are added, claimed, started, beat, end well or badly, and are
// tried again; some four hundred are on their way at a time.
func writeFlat(t testing.TB, path string, n int) flatLog {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(file, 1<<20)
	at := dawn
	written := 0
	write := func(stream domain.StreamID, event domain.Event) {
		if written == n {
			return
		}
		written++
		at = at.Add(17 * time.Millisecond)
		data, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		head := binary.BigEndian.AppendUint16(nil, uint16(len(stream)))
		head = binary.BigEndian.AppendUint16(head, uint16(len(event.EventType())))
		head = binary.BigEndian.AppendUint32(head, uint32(len(data)))
		head = binary.BigEndian.AppendUint64(head, uint64(at.UnixMicro()))
		for _, part := range [][]byte{head, []byte(stream), []byte(event.EventType()), data} {
			if _, err := out.Write(part); err != nil {
				t.Fatal(err)
			}
		}
	}
	type item struct{ number, step int }
	items := make([]item, 400)
	made := 0
	for i := 0; written < n; i++ {
		slot := &items[(i*7919)%len(items)]
		if slot.step == 0 {
			made++
			slot.number = made
		}
		id := domain.TaskID(fmt.Sprintf("task-%08d-selfplay", slot.number))
		node := domain.NodeID(fmt.Sprintf("gpu-node-%03d", slot.number%61))
		stream := domain.Stream("task", string(id))
		deadline := at.Add(time.Minute)
		note := json.RawMessage(fmt.Sprintf(`{"games_done":%d,"positions":%d,"checkpoint":"models/hex8_2p/step-%06d.pth","host":"%s.cluster.internal"}`, i%500, i*31, i%100000, node))
		bad := slot.number%10 == 0
		slot.step++
		switch slot.step {
		case 1:
			write(stream, work.Spawned{
				TaskID: id, TaskType: []string{"selfplay", "gauntlet", "training"}[slot.number%3], ConfigKey: "hex8_2p",
				Priority: slot.number % 100, Payload: note, TimeoutSeconds: 5400, MaxAttempts: 3,
			})
		case 2:
			write(stream, work.Claimed{TaskID: id, Lease: 1, NodeID: node, Deadline: deadline, Attempt: 1})
		case 3:
			write(stream, work.Started{TaskID: id, Lease: 1, NodeID: node})
		case 4, 5:
			write(stream, work.Heartbeat{TaskID: id, Lease: 1, NodeID: node, Deadline: deadline, Progress: note})
		case 6:
			if !bad {
				write(stream, work.Completed{TaskID: id, Lease: 1, NodeID: node, Result: note})
				slot.step = 0
				continue
			}
			write(stream, work.Failed{TaskID: id, Lease: 1, NodeID: node, Error: "CUDA error: out of memory while allocating 2.50 GiB on device 0", Retryable: true, Attempts: 1})
		case 7:
			write(stream, work.RetryScheduled{TaskID: id, NotBefore: at.Add(5 * time.Second), Attempts: 1})
		case 8:
			write(stream, work.Requeued{TaskID: id, Reason: "retry"})
		case 9:
			write(stream, work.Claimed{TaskID: id, Lease: 2, NodeID: node, Deadline: deadline, Attempt: 2})
		default:
			write(stream, work.Completed{TaskID: id, Lease: 2, NodeID: node, Result: note})
			slot.step = 0
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return flatLog{path, domain.Position(n)}
}
