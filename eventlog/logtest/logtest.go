// Package logtest checks that an engine keeps the promises of eventlog.Log, one
// subtest for each promise and named after it, and compares the engine with the
// reference in memory over random histories.
//
// It knows nothing of any engine: what only an engine can do (crash, corrupt a
// file) it tests itself. Read Run first; RunFaults is for engines whose storage
// can be made to fail; Faulty is for those who consume a log.
package logtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Run checks an engine. open gives a new empty log each time and closes it with
// t.Cleanup.
func Run(t *testing.T, open func(t testing.TB) eventlog.Log) {
	t.Helper()
	for _, promise := range []struct {
		name  string
		check func(*testing.T, func(testing.TB) eventlog.Log)
	}{
		{"1 order", order},
		{"1 order among concurrent appenders", concurrentOrder},
		{"2 atomicity", atomicity},
		{"3 durability: what is acknowledged is there", acknowledged},
		{"3 durability: no one sees beyond the head", neverBeyondHead},
		{"4 expected revision", expectedRevision},
		{"4 expected revision: one of many writers wins", oneWinner},
		{"5 identity", identity},
		{"5 identity across the same id in other streams", identityByStream},
		{"6 completeness of reads", completeReads},
		{"6 completeness of subscriptions", completeSubscription},
		{"6 completeness under load", subscriptionUnderLoad},
		{"6 an ended context is an error of a read", endedContext},
		{"7 prefix", prefix},
		{"8 isolation", isolation},
		{"9 bounds", bounds},
		{"10 deletion is visible", deletion},
		{"10 a tombstone is for ever", tombstone},
		{"11 many appends", manyAppends},
		{"11 many appends: one rests on another", manyThatRest},
		{"11 many appends: identity", manyIdentities},
		{"11 many appends: a long list", manyAtOnce},
		{"11 many appends beside others", manyAmongOthers},
		{"11 many appends: an ended context", manyOfAnEndedContext},
		{"normal form of what is stored", normalForm},
		{"the reference agrees", agreesWithMemory},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.check(t, open) })
	}
}

// patience bounds what a correct engine never needs, one behind a connection on a
// busy machine neither.
const patience = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

var epoch = time.Date(2025, 11, 3, 9, 30, 0, 0, time.UTC)

// event makes a small event whose parts all depend on its name.
func event(name string) eventlog.Proposed {
	id := domain.DeriveID(name, 0)
	return eventlog.Proposed{
		ID: id, Type: fmt.Sprintf("KIND_%d", id[0]%4), Version: 1 + int(id[1]),
		Time: epoch.Add(time.Duration(id[2]) * time.Second),
		Meta: domain.Meta{Command: "c-" + name, Actor: "tester", Term: uint64(id[3])},
		Data: []byte(`{"name":"` + name + `"}`),
	}
}

func events(name string, n int) []eventlog.Proposed {
	made := make([]eventlog.Proposed, n)
	for i := range made {
		made[i] = event(fmt.Sprintf("%s/%d", name, i))
	}
	return made
}

func mustAppend(t testing.TB, log eventlog.Log, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) eventlog.Receipt {
	t.Helper()
	receipt, err := log.Append(testContext(t), stream, expected, events...)
	if err != nil {
		t.Fatalf("append to %s expecting %s: %v", stream, expected, err)
	}
	return receipt
}

// collect drains an iterator and fails when anything follows an error.
func collect[T any](t testing.TB, items iter.Seq2[T, error]) ([]T, error) {
	t.Helper()
	var all []T
	var failure error
	for item, err := range items {
		if failure != nil {
			t.Fatalf("want nothing after the error %v, found another item", failure)
		}
		if err != nil {
			failure = err
			continue
		}
		all = append(all, item)
	}
	return all, failure
}

func readAll(t testing.TB, log eventlog.Log, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) []domain.Envelope {
	t.Helper()
	all, err := collect(t, log.ReadAll(testContext(t), from, direction, filter))
	if err != nil {
		t.Fatalf("read of everything: %v", err)
	}
	return all
}

func readStream(t testing.TB, log eventlog.Log, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) []domain.Envelope {
	t.Helper()
	all, err := collect(t, log.Read(testContext(t), stream, from, direction))
	if err != nil {
		t.Fatalf("read of %s: %v", stream, err)
	}
	return all
}

// differ describes the first difference between two events, "" when there is none.
func differ(want, found domain.Envelope) string {
	switch {
	case want.Position != found.Position:
		return fmt.Sprintf("want position %d, found %d", want.Position, found.Position)
	case want.Stream != found.Stream || want.Revision != found.Revision:
		return fmt.Sprintf("want %s@%d, found %s@%d", want.Stream, want.Revision, found.Stream, found.Revision)
	case want.ID != found.ID:
		return fmt.Sprintf("want id %s, found %s", want.ID, found.ID)
	case want.Type != found.Type || want.Version != found.Version:
		return fmt.Sprintf("want %s version %d, found %s version %d", want.Type, want.Version, found.Type, found.Version)
	case want.Time != found.Time:
		return fmt.Sprintf("want time %v, found %v", want.Time, found.Time)
	case want.Meta != found.Meta:
		return fmt.Sprintf("want metadata %+v, found %+v", want.Meta, found.Meta)
	case string(want.Data) != string(found.Data):
		return fmt.Sprintf("want payload %q, found %q", want.Data, found.Data)
	}
	return ""
}

func sameEvents(t testing.TB, what string, want, found []domain.Envelope) {
	t.Helper()
	if diff := diffEvents(want, found); diff != "" {
		t.Fatalf("%s: %s", what, diff)
	}
}

func diffEvents(want, found []domain.Envelope) string {
	for i := range min(len(want), len(found)) {
		if diff := differ(want[i], found[i]); diff != "" {
			return fmt.Sprintf("item %d: %s", i, diff)
		}
	}
	if len(want) != len(found) {
		return fmt.Sprintf("want %d events, found %d", len(want), len(found))
	}
	return ""
}

// stored is the envelope that an accepted event must come back as.
func stored(stream domain.StreamID, position domain.Position, revision domain.Revision, e eventlog.Proposed) domain.Envelope {
	return domain.Envelope{
		Position: position, Stream: stream, Revision: revision, ID: e.ID, Type: e.Type,
		Version: e.Version, Time: domain.Instant(e.Time), Meta: e.Meta, Data: e.Data,
	}
}

func reversed(all []domain.Envelope) []domain.Envelope {
	turned := make([]domain.Envelope, 0, len(all))
	for i := len(all) - 1; i >= 0; i-- {
		turned = append(turned, all[i])
	}
	return turned
}

func wantConflict(t testing.TB, what string, err error) *eventlog.Conflict {
	t.Helper()
	var conflict *eventlog.Conflict
	if !errors.As(err, &conflict) || !errors.Is(err, domain.ErrConflict) {
		t.Fatalf("%s: want a *Conflict of class conflict, found %v", what, err)
	}
	return conflict
}

func wantCode(t testing.TB, what string, err error, code domain.Code) {
	t.Helper()
	if err == nil || domain.CodeOf(err) != code {
		t.Fatalf("%s: want an error of code %s, found %v", what, code, err)
	}
}
