package esdbtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/ringrift/rift/transport/esdbserver/esdbtest"
)

func TestMain(m *testing.M) {
	// A client that connects again forgets to close the connection it had.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run"))
}

// TestOrders is what a test of a program that keeps its orders in EventStoreDB
// looks like.
func TestOrders(t *testing.T) {
	node := esdbtest.Start(t)
	client := node.Client()

	order := esdb.EventData{EventID: uuid.New(), EventType: "OrderPlaced", ContentType: esdb.ContentTypeJson, Data: []byte(`{"item":"tea"}`)}
	if _, err := client.AppendToStream(t.Context(), "Order 7", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, order); err != nil {
		t.Fatal(err)
	}
	events, err := client.ReadStream(t.Context(), "Order 7", esdb.ReadStreamOptions{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	found, err := events.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if e := found.Event; e.EventID != order.EventID || e.StreamID != "Order 7" || string(e.Data) != `{"item":"tea"}` {
		t.Fatalf("want the order, found %+v", e)
	}
	if _, err := events.Recv(); !errors.Is(err, io.EOF) {
		t.Fatalf("want the end of the stream, found %v", err)
	}
}

func TestResetLeavesAnEmptyNode(t *testing.T) {
	node := esdbtest.Start(t)
	client := node.Client()
	e := esdb.EventData{EventID: uuid.New(), EventType: "a", ContentType: esdb.ContentTypeBinary}
	if _, err := client.AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, e); err != nil {
		t.Fatal(err)
	}
	node.Reset()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for { // the client may have to notice first that the node went away
		_, err := client.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, e)
		if err == nil {
			return
		}
		if known, _ := esdb.FromError(err); known.Code() != esdb.ErrorUnavailable || ctx.Err() != nil {
			t.Fatalf("want an empty stream, found %v", err)
		}
	}
}

func TestAnswersOverHTTPOnTheSamePort(t *testing.T) {
	node := esdbtest.Start(t)
	for path, want := range map[string]int{"/health/live": 204, "/ping": 200, "/gossip": 200, "/info": 200, "/nothing": 404} {
		response, err := http.Get("http://" + node.Address() + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: want %d, found %d", path, want, response.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
