package esdbserver_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport/esdbserver"
)

// clustered is a node of a cluster whose members the test sets.
type clustered struct {
	server  *esdbserver.Server
	log     esdbserver.Log
	address string
	members []esdbserver.Member
}

func newClustered(t *testing.T, log esdbserver.Log) *clustered {
	t.Helper()
	listener := listen(t)
	c := &clustered{log: log, address: listener.Addr().String()}
	var err error
	c.server, err = esdbserver.New(esdbserver.Config{
		Log: log, Insecure: true, Members: func(context.Context) ([]esdbserver.Member, error) { return c.members, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.server.Serve(listener) }()
	t.Cleanup(func() {
		c.server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestGossipListsTheMembers(t *testing.T) {
	t.Parallel()
	node := newClustered(t, eventlog.NewMemory())
	node.members = []esdbserver.Member{
		{Name: "a", Address: "http://10.0.0.1", Role: esdbserver.RoleLeader, Alive: true},
		{Name: "b", Address: "http://elsewhere:1", Role: esdbserver.RoleFollower, Alive: true, Self: true},
		{Name: "c", Address: "https://[fd00::7]:8770", Role: esdbserver.RoleReplica},
		{Name: "nowhere", Role: esdbserver.RoleFollower, Alive: true},
		{Name: "odd", Address: "://", Role: esdbserver.RoleFollower, Alive: true},
	}
	conn := dial(t, node.address)
	defer conn.Close()
	info, err := gossip.NewGossipClient(conn).Read(t.Context(), &shared.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	ids := map[string]bool{}
	for _, m := range info.GetMembers() {
		alive := "silent"
		if m.GetIsAlive() {
			alive = "alive"
		}
		seen = append(seen, m.GetState().String()+" "+alive+" "+esdbAddress(m.GetHttpEndPoint()))
		ids[m.GetInstanceId().String()] = true
		var id uuid.UUID
		binary.BigEndian.PutUint64(id[:8], uint64(m.GetInstanceId().GetStructured().GetMostSignificantBits()))
		binary.BigEndian.PutUint64(id[8:], uint64(m.GetInstanceId().GetStructured().GetLeastSignificantBits()))
		if id.Version() != 5 || id.Variant() != uuid.RFC4122 { // the official Node client takes no other
			t.Errorf("want a UUID by name as the id of a member, found %v", id)
		}
	}
	want := []string{"Leader alive 10.0.0.1:80", "Follower alive " + node.address, "ReadOnlyReplica silent [fd00::7]:8770"}
	if strings.Join(seen, ", ") != strings.Join(want, ", ") || len(ids) != len(want) {
		t.Errorf("want %v with an id each, found %v with %d", want, seen, len(ids))
	}

	var said struct {
		Members []struct {
			State string `json:"state"`
			IP    string `json:"httpEndPointIp"`
			Port  uint32 `json:"httpEndPointPort"`
		} `json:"members"`
		State string `json:"state"`
	}
	for path, members := range map[string]int{"/gossip": 3, "/info": 0} {
		answer := httptest.NewRecorder()
		node.server.Handler(http.NotFoundHandler()).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://node-b:8770"+path, nil))
		said.Members = nil
		if err := json.Unmarshal(answer.Body.Bytes(), &said); err != nil || len(said.Members) != members {
			t.Fatalf("%s: want %d members, found %s, %v", path, members, answer.Body, err)
		}
		if members > 0 && (said.Members[0].State != "Leader" || said.Members[1].IP != "node-b" || said.Members[1].Port != 8770 || said.Members[2].State != "ReadOnlyReplica") {
			t.Errorf("%s: found %s", path, answer.Body)
		}
	}
	if said.State != "follower" {
		t.Errorf("want the state follower of this node, found %s", said.State)
	}
}

func esdbAddress(at *gossip.EndPoint) string {
	return (&net.TCPAddr{IP: net.ParseIP(at.GetAddress()), Port: int(at.GetPort())}).String()
}

// led is the log of a follower.
type led struct {
	esdbserver.Log
	leader eventlog.Leader
}

func (l led) Append(context.Context, domain.StreamID, domain.Revision, ...eventlog.Proposed) (eventlog.Receipt, error) {
	return eventlog.Receipt{}, &eventlog.NotLeader{Leader: l.leader}
}

// The official client finds the leader from the gossip of a follower, and from the
// refusal of a follower that it took for the leader.
func TestTheOfficialClientFindsTheLeader(t *testing.T) {
	t.Parallel()
	leader := newClustered(t, eventlog.NewMemory())
	at := "http://" + leader.address
	follower := newClustered(t, led{eventlog.NewMemory(), eventlog.Leader{NodeID: "a", Address: at, Term: 1}})
	for _, node := range []*clustered{leader, follower} {
		node.members = []esdbserver.Member{
			{Name: "a", Address: at, Role: esdbserver.RoleLeader, Alive: true, Self: node == leader},
			{Name: "b", Address: "http://" + follower.address, Role: esdbserver.RoleFollower, Alive: true, Self: node == follower},
		}
	}
	for name, seeds := range map[string]string{"gossip": follower.address + "," + follower.address, "refusal": follower.address} {
		config, err := esdb.ParseConnectionString("esdb://" + seeds + "?tls=false")
		if err != nil {
			t.Fatal(err)
		}
		config.Logger = esdb.NoopLogging()
		client, err := esdb.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		event := esdb.EventData{EventID: uuid.New(), EventType: "Found", ContentType: esdb.ContentTypeJson, Data: []byte("{}")}
		tries := 0
		for deadline := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
			tries++
			if _, err = client.AppendToStream(t.Context(), "by-"+name, esdb.AppendToStreamOptions{}, event); err == nil || time.Now().After(deadline) {
				break
			}
		}
		_, found, findErr := leader.log.Find(t.Context(), domain.StreamID("by-"+name), domain.EventID(event.EventID))
		if err := errors.Join(err, findErr, client.Close()); err != nil || !found {
			t.Errorf("%s: want the event in the leader's log, found %t, %v", name, found, err)
		}
		if (name == "gossip") != (tries == 1) {
			t.Errorf("%s: found the leader at try %d", name, tries)
		}
	}
}
