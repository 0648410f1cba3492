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
		var known *esdb.Error // of a stream that ended before the first message the client says io.EOF
		if away := errors.Is(err, io.EOF) || errors.As(err, &known) && known.Code() == esdb.ErrorUnavailable; !away || ctx.Err() != nil {
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

// A secure node knows who has an account, by a login or by a certificate, and says the
// same to the client that every test of it is about.
func TestSecureNode(t *testing.T) {
	node := esdbtest.StartSecure(t)
	admin, key := node.Authority().User("admin")
	stranger, strangerKey := node.Authority().User("stranger")
	for _, c := range []struct {
		name, login, certificate, key string
		fine                          bool
	}{
		{"a login", "ops:changeit@", "", "", true},
		{"a wrong password", "ops:wrong@", "", "", false},
		{"nothing", "", "", "", false},
		{"a certificate", "", admin, key, true},
		{"the certificate of nobody", "", stranger, strangerKey, false},
		{"a wrong password with a certificate", "ops:wrong@", admin, key, false},
		// The client asks first what the node can do, and shows no login with that.
		{"a login with the certificate of nobody", "ops:changeit@", stranger, strangerKey, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := "esdb://" + c.login + node.Address() + "?tlsCAFile=" + node.Authority().File()
			if c.certificate != "" {
				at += "&userCertFile=" + c.certificate + "&userKeyFile=" + c.key
			}
			config, err := esdb.ParseConnectionString(at)
			if err != nil {
				t.Fatal(err)
			}
			config.Logger = esdb.NoopLogging()
			client, err := esdb.NewClient(config)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.AppendToStream(t.Context(), "account-1", esdb.AppendToStreamOptions{}, esdb.EventData{
				EventType: "Tried", ContentType: esdb.ContentTypeJson, Data: []byte("{}"),
			})
			if (err == nil) != c.fine {
				t.Errorf("append: want it fine: %v, found %v", c.fine, err)
			}
		})
	}
	client := node.Client()
	if _, err := client.ReadStream(t.Context(), "$users", esdb.ReadStreamOptions{}, 1); err != nil {
		t.Errorf("as admin: %v", err)
	}
}
