package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/foreign"
)

// serving runs `rift serve` until the test ends and returns its address.
func serving(t *testing.T, args ...string) string {
	t.Helper()
	address, stop := serve(t, args...)
	t.Cleanup(stop)
	return address
}

// serve runs `rift serve` until stop is called, and returns its address.
func serve(t *testing.T, args ...string) (address string, stop func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "address")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan ran, 1)
	go func() {
		done <- riftContext(ctx, "", nil, append([]string{"serve", "--listen", "127.0.0.1:0", "--addr-file", file, "--log-level", "error"}, args...)...)
	}()
	stop = func() {
		cancel()
		if r := <-done; r.code != exitDone || r.stderr != "" {
			t.Errorf("serve ended with %d: %s", r.code, r.stderr)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if text, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(text)), stop
		}
		select {
		case r := <-done:
			t.Fatalf("serve ended with %d: %s", r.code, r.stderr)
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatal("serve is not ready after 30 s")
	return "", nil
}

func esdbClient(t *testing.T, address string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString("esdb://" + address + "?tls=false")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Other programs may append to the log by EventStoreDB's protocol. Their events stop no
// handler, make no dead letters, and are not taken for events of rift.
func TestEventStoreDBClientsShareTheLog(t *testing.T) {
	data := t.TempDir()
	address := serving(t, "--insecure-esdb", "--data", data)
	client := esdbClient(t, address)
	put := func(stream, kind string, data, meta string) error {
		event := esdb.EventData{EventID: uuid.New(), EventType: kind, ContentType: esdb.ContentTypeJson, Data: []byte(data), Metadata: []byte(meta)}
		_, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{}, event)
		return err
	}
	for _, stream := range []string{"order-1", "Order 2", "$settings"} {
		if err := put(stream, "OrderPlaced", "{not json\n", ""); err != nil {
			t.Fatalf("%s: %v", stream, err)
		}
	}
	native := string(foreign.AppendUserMeta(nil, 1, time.Now(), domain.Meta{}))
	for _, forged := range [][3]string{
		{"order-1", "TASK_SPAWNED", "{}"}, {"task-t1", "OrderPlaced", "{}"}, {"task-t1", "TASK_SPAWNED", "{}"},
	} {
		err := put(forged[0], forged[1], forged[2], "")
		if known, _ := esdb.FromError(err); known.Code() != esdb.ErrorCodeAccessDenied {
			t.Errorf("%v: want access denied, found %v", forged, err)
		}
	}
	if err := put("task-t1", "TASK_SPAWNED", `{"priority":"x"}`, native); err == nil {
		t.Error("want a payload that the catalogue cannot read refused")
	}

	env := map[string]string{"RIFT_ADDR": "http://" + address}
	riftWith(t, "", env, "work", "add", "selfplay", "--task-id", "t-1").want(t, exitDone, `"task_id": "t-1"`, "")
	riftWith(t, "", env, "work", "claim", "gpu-1").want(t, exitDone, `"lease": 1`, "")
	var letters struct {
		Letters []json.RawMessage `json:"dead_letters"`
	}
	last, err := client.ReadAll(t.Context(), esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	head, err := last.Recv()
	if err != nil {
		t.Fatal(err)
	}
	getJSON(t, fmt.Sprintf("http://%s/dead-letters?after=%d", address, head.Event.Position.Commit), &letters)
	if len(letters.Letters) > 0 {
		t.Errorf("want no failures, found %s", letters.Letters)
	}

	// Other programs read the events of rift.
	events, err := client.ReadStream(t.Context(), "task-t-1", esdb.ReadStreamOptions{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	var kinds []string
	for {
		e, err := events.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Event.EventType)
	}
	if got := strings.Join(kinds, " "); got != "TASK_SPAWNED TASK_CLAIMED" {
		t.Errorf("want what was done to t-1, found %s", got)
	}
	riftWith(t, "", env, "log", "show", "--stream", "esdb-Order%202").want(t, exitDone, "OrderPlaced", "")
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %s", url, response.StatusCode, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v in %s", url, err, body)
	}
}

func TestInsecureESDBIsAskedForAlone(t *testing.T) {
	t.Parallel()
	rift(t, "serve", "--insecure-esdb", "--read-only", "--token-file", "x").want(t, exitError, "",
		"insecure_esdb: want no token_file with it: EventStoreDB clients would need no token (--insecure-esdb)\n  insecure_esdb: want no read_only")
}
