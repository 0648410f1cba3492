package esdbserver_test

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport/esdbserver"
)

// A log in memory is served to the official client, with HTTP on the same port.
func Example() {
	server, err := esdbserver.New(esdbserver.Config{Log: eventlog.NewMemory(), Insecure: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	grpcListener, httpListener := esdbserver.Split(listener)
	web := &http.Server{Handler: server.Handler(http.NotFoundHandler())}
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(grpcListener) }()
	go func() { ended <- web.Serve(httpListener) }()
	defer func() { server.Close(); web.Close(); <-ended; <-ended }()

	config, err := esdb.ParseConnectionString("esdb://" + listener.Addr().String() + "?tls=false")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := esdb.NewClient(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	event := esdb.EventData{EventID: uuid.New(), EventType: "OrderPlaced", ContentType: esdb.ContentTypeJson, Data: []byte(`{"item":"tea"}`)}
	result, err := client.AppendToStream(context.Background(), "Order 7", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, event)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("revision", result.NextExpectedVersion)
	// Output: revision 0
}
