package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
)

// gossiped returns the members by the gossip of a node, sorted: "Leader 127.0.0.1:8771".
func gossiped(t *testing.T, address string) []string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/gossip", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var said struct {
		Members []struct {
			State string      `json:"state"`
			IP    string      `json:"httpEndPointIp"`
			Port  json.Number `json:"httpEndPointPort"`
		} `json:"members"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	var members []string
	for _, m := range said.Members {
		members = append(members, m.State+" "+m.IP+":"+m.Port.String())
	}
	slices.Sort(members)
	return members
}

// EventStoreDB's clients find the leader of a cluster by the gossip of any of its nodes.
func TestEventStoreDBClientsOfACluster(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	key := filepath.Join(folder, "cluster.key")
	names := []string{"n1", "n2", "n3"}
	var addresses, nodes []string
	for _, name := range names {
		addresses = append(addresses, freeAddress(t))
		nodes = append(nodes, name+"=http://"+addresses[len(addresses)-1])
	}
	rift(t, append([]string{"cluster", "init", "--cluster-key", key}, nodes...)...).want(t, exitDone, "", "")
	for i, name := range names {
		serving(t, "--data", filepath.Join(folder, name), "--cluster-key", nodeKeyPath(key, domain.NodeID(name)), "--listen", addresses[i], "--insecure-esdb")
	}
	agree := func() bool {
		first := gossiped(t, addresses[0])
		return slices.Equal(first, gossiped(t, addresses[1])) && slices.Equal(first, gossiped(t, addresses[2])) &&
			strings.HasPrefix(first[0], "Follower ") && strings.HasPrefix(first[1], "Follower ") && strings.HasPrefix(first[2], "Leader ")
	}
	for deadline := time.Now().Add(2 * time.Minute); !agree(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("want two followers and a leader on every node, found %v", gossiped(t, addresses[0]))
		}
	}
	client := esdbClient(t, strings.Join(addresses, ","))
	event := esdb.EventData{EventID: uuid.New(), EventType: "Found", ContentType: esdb.ContentTypeJson, Data: []byte("{}")}
	for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) { // the leader may change meanwhile
		_, err := client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, event)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	events, err := client.ReadStream(t.Context(), "order-1", esdb.ReadStreamOptions{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if found, err := events.Recv(); err != nil || found.Event.EventID != event.EventID {
		t.Errorf("want the event read back, found %v, %v", found, err)
	}
}
