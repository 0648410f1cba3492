// Command append writes one event to a node through the client of EventStoreDB:
//
//	append esdb://127.0.0.1:8770?tls=false "Order 7" OrderPlaced '{"item":"tea"}'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "append:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("want a connection string, a stream, a type and data, found %d arguments", len(args))
	}
	config, err := esdb.ParseConnectionString(args[0])
	if err != nil {
		return err
	}
	config.Logger = nil // the client would log every connection to the error stream
	client, err := esdb.NewClient(config)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	event := esdb.EventData{EventID: uuid.New(), EventType: args[2], ContentType: esdb.ContentTypeJson, Data: []byte(args[3])}
	result, err := client.AppendToStream(ctx, args[1], esdb.AppendToStreamOptions{}, event)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "revision %d of %s, at position %d\n", result.NextExpectedVersion, args[1], result.CommitPosition)
	return err
}
