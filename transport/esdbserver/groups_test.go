package esdbserver_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/datadriven"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// script runs one line of a script.
func (w *world) script(t *testing.T, line string) string {
	t.Helper()
	cmd, args, err := datadriven.ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	return w.run(t, &datadriven.TestData{Pos: line, Cmd: cmd, CmdArgs: args})
}

func (w *world) fill(t *testing.T, stream string, n int) {
	t.Helper()
	w.fillWith(t, stream, n, nil)
}

// fillWith appends events with some data, each in its own call if the data is not nil.
func (w *world) fillWith(t *testing.T, stream string, n int, data []byte) {
	t.Helper()
	if data == nil {
		w.put(t, stream, 0, n, nil)
		return
	}
	for i := range n {
		w.put(t, stream, i, i+1, data)
	}
}

func (w *world) put(t *testing.T, stream string, from, to int, data []byte) {
	t.Helper()
	call, err := streams.NewStreamsClient(w.conn).Append(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(m *streams.AppendReq) {
		if err := call.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
		ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}})
	for i := from; i < to; i++ {
		send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: uuidNamed(fmt.Sprint(stream, i)), Metadata: map[string]string{"type": "T", "content-type": "application/json"}, Data: data,
		}}})
	}
	if _, err := call.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
}

// info returns the state of group g of stream s.
func (w *world) info(t *testing.T) *persistent.SubscriptionInfo {
	t.Helper()
	found, err := persistent.NewPersistentSubscriptionsClient(w.conn).GetInfo(t.Context(), &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
		GroupName: "g", StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return found.SubscriptionInfo
}

// member is a consumer of a group.
type member struct {
	call persistent.PersistentSubscriptions_ReadClient
	stop context.CancelFunc
}

// join connects to group g of a stream.
func (w *world) join(t *testing.T, stream string, buffer int32) *member {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	call, err := persistent.NewPersistentSubscriptionsClient(w.conn).Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		GroupName: "g", BufferSize: buffer,
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}},
		UuidOption:   &persistent.ReadReq_Options_UUIDOption{Content: &persistent.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}}}); err != nil {
		t.Fatal(err)
	}
	if first, err := call.Recv(); err != nil || first.GetSubscriptionConfirmation() == nil {
		t.Fatalf("want a confirmation, found %v, %v", first, err)
	}
	return &member{call, stop}
}

func (m *member) next(t *testing.T) *persistent.ReadResp_ReadEvent {
	t.Helper()
	message, err := m.call.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return message.GetEvent()
}

func (m *member) answer(id *shared.UUID, action persistent.ReadReq_Nack_Action) error {
	request := &persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: []*shared.UUID{id}}}}
	if action != persistent.ReadReq_Nack_Unknown {
		request.Content = &persistent.ReadReq_Nack_{Nack: &persistent.ReadReq_Nack{Ids: []*shared.UUID{id}, Action: action}}
	}
	return m.call.Send(request)
}

// A consumer that reads nothing does not slow the others, though the events sent to it
// time out repeatedly. The number of events that wait for consumers is bounded.
func TestGroupsPassASlowReaderBy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const events, slots = 400, 20
	w.script(t, "group do=create stream=s timeout=1000 retries=1000000 history=50")
	slow := w.join(t, "s", slots)
	defer slow.stop()
	w.fillWith(t, "s", events, bytes.Repeat([]byte("7"), 900))
	for range 250 { // long enough to fill what is between the group and it
		w.micros.Add(2_000_000) // whatever was not answered is late
		w.info(t)
		<-time.After(10 * time.Millisecond)
	}
	fast := w.join(t, "s", slots)
	handled := map[string]bool{}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for len(handled) < events {
			message, err := fast.call.Recv()
			if err != nil {
				t.Errorf("want %d events handled, found %d: %v", events, len(handled), err)
				return
			}
			id := message.GetEvent().GetEvent().GetId()
			if err := fast.answer(id, persistent.ReadReq_Nack_Unknown); err != nil {
				t.Error(err)
				return
			}
			handled[id.GetString_()] = true
		}
	}()
	giveUp := time.AfterFunc(2*time.Minute, fast.stop)
	defer giveUp.Stop()
	for done := false; !done; {
		select {
		case <-answered:
			done = true
		case <-time.After(5 * time.Millisecond):
			w.micros.Add(2_000_000)
		}
		if info := w.info(t); info.ReadBufferCount > 50 || info.TotalInFlightMessages > 2*slots || info.RetryBufferCount > 2*slots {
			t.Fatalf("want at most 50 events read ahead and %d with consumers, found %v", 2*slots, info)
		}
	}
	fast.stop()
}

// A consumer that answers for events before it has taken them gets no more than it has
// room for, and the others get their share.
func TestGroupsBoundWhatAConsumerIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const events = 300
	w.script(t, "group do=create stream=s history=50 strategy=DispatchToSingle")
	greedy := w.join(t, "s", 2)
	w.fillWith(t, "s", events, bytes.Repeat([]byte("7"), 900))
	var all []*shared.UUID
	for i := range events {
		all = append(all, uuidNamed(fmt.Sprint("s", i)))
	}
	for range events { // it reads none of them
		if err := greedy.call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: all}}}); err != nil {
			t.Fatal(err)
		}
	}
	for until := time.Now().Add(time.Minute); w.info(t).TotalItems < 20; {
		if time.Now().After(until) {
			t.Fatal("want some answers taken")
		}
	}
	other := w.join(t, "s", 10)
	defer other.stop()
	greedy.stop()
	for last := uuidNamed(fmt.Sprint("s", events-1)).GetString_(); ; {
		id := other.next(t).GetEvent().GetId()
		if err := other.answer(id, persistent.ReadReq_Nack_Unknown); err != nil {
			t.Fatal(err)
		}
		if id.GetString_() == last {
			return
		}
	}
}

// An event that a consumer does not answer in time goes to another consumer, and is then
// parked.
func TestGroupsTimeOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(t, "group do=create stream=s timeout=1000 retries=1")
	w.fill(t, "s", 1)
	m := w.join(t, "s", 10)
	defer m.stop()
	for retries := range int32(2) {
		if e := m.next(t); e.GetRetryCount() != retries {
			t.Fatalf("want retry %d, found %v", retries, e)
		}
		w.micros.Add(1_500_000)
	}
	for until := time.Now().Add(time.Minute); ; {
		info := w.info(t)
		if info.ParkedMessageCount == 1 && info.TotalInFlightMessages == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("want the event parked, found %v", info)
		}
	}
}

func TestGroupsBoundTheirConsumers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(t, "group do=create stream=s consumers=1")
	m := w.join(t, "s", 1)
	defer m.stop()
	if got := w.script(t, "consume stream=s"); got != "FailedPrecondition: persistent subscription s::g: the persistent subscription has as many consumers as it may have\n  exception = maximum-subscribers-reached\n  group-name = g\n  stream-name = s\n" {
		t.Errorf("found %s", got)
	}
}

// A change or removal of a group ends the calls of its consumers, with a status that says
// so.
func TestGroupsLetConsumersGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(t, "group do=create stream=s")
	for _, line := range []string{"group do=update stream=s", "group do=restart", "group do=delete stream=s"} {
		m := w.join(t, "s", 1)
		if got := w.script(t, line); got != "ok\n" {
			t.Fatalf("%s: %s", line, got)
		}
		_, err := m.call.Recv()
		if status.Code(err) != codes.Canceled || m.call.Trailer().Get("exception")[0] != "persistent-subscription-dropped" {
			t.Errorf("%s: want the consumer let go, found %v with %v", line, err, m.call.Trailer())
		}
		m.stop()
	}
}

// In a pinned group the events of a stream go to one consumer, also when others join.
func TestGroupsPin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(t, "group do=create stream=$ce-cart strategy=Pinned")
	for i := range 12 {
		w.fill(t, fmt.Sprint("cart-", i), 3)
	}
	a, b := w.join(t, "$ce-cart", 100), w.join(t, "$ce-cart", 100)
	defer a.stop()
	defer b.stop()
	w.fill(t, "cart-99", 1)
	owner := map[string]int{}
	var mu sync.Mutex
	var group sync.WaitGroup
	total := 0
	for n, m := range []*member{a, b} {
		group.Go(func() {
			for {
				message, err := m.call.Recv()
				if err != nil {
					return
				}
				mu.Lock()
				stream := string(message.GetEvent().GetEvent().GetData()) // "revision@stream"
				var revision int
				var name string
				if _, err := fmt.Sscanf(stream, "%d@%s", &revision, &name); err != nil {
					t.Errorf("%q: %v", stream, err)
				}
				if before, seen := owner[name]; seen && before != n && name != "cart-0" {
					owner[name] = -1
				} else {
					owner[name] = n
				}
				if total++; total == 37 {
					a.stop()
					b.stop()
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(owner) != 13 {
		t.Fatalf("want 13 carts, found %v", owner)
	}
}
