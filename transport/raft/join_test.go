package raft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// holds waits until a state of a log holds.
func holds(t *testing.T, log *raftlog.Log, what string, hold func(raftlog.State) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		state, err := log.State(ctx)
		if err != nil {
			t.Fatalf("want %s: %v, found %+v", what, err, state)
		}
		if hold(state) {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("want %s, found %+v", what, state)
		}
	}
}

// leads opens nodes and makes the first of them lead.
func leads(t *testing.T, size int) []*node {
	t.Helper()
	nodes := openNodes(t, size)
	if err := nodes[0].log.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, nodes[0].log, func(l eventlog.Leader) bool { return l.Self })
	return nodes
}

// joins returns a client of a node that joins with a token.
func joins(token Token, node domain.NodeID, now func() time.Time) Client {
	secret, err := ParseSecret(token.Secret)
	if err != nil {
		panic(err)
	}
	ring := NewRing(token.Cluster, node, secret, token.Operator, raftlog.Configuration{Index: token.Index, Members: token.Members})
	return Client{http.DefaultClient, ring, NewSigner(ring, Saying{Token: token.Allows}, now)}
}

func tokenFor(t *testing.T, node domain.NodeID, list raftlog.Configuration, by Secret) Token {
	t.Helper()
	token, err := NewToken(cluster, by, node, 1, time.Now().Add(time.Hour), time.Now(), list)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(token) // as in its file
	if err != nil {
		t.Fatal(err)
	}
	var read Token
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// TestJoinByToken adds a node that has nothing but a token, and refuses every token that
// does not allow it.
func TestJoinByToken(t *testing.T) {
	nodes := leads(t, 2)
	list := *nodes[0].log.Configuration()
	fourth := serve(t, "n4")
	wish := Join{Address: fourth.member.Address, Key: fourth.member.Key}
	token := tokenFor(t, "", list, secrets[Operator])
	late := tokenFor(t, "", list, secrets[Operator])
	allows, _, _, err := readAllowance(late.Allows)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[0].ring.allowed(late.Allows, allows.Till.Add(time.Second)); domain.CodeOf(err) != domain.Unauthorized {
		t.Errorf("a token that ended: found %v", err)
	}
	stolen := tokenFor(t, "", list, secrets["n3"])
	stolen.Operator = operator
	other := tokenFor(t, "", list, secrets[Operator])
	other.Secret = NewSecret().Text()
	changed := tokenFor(t, "n4", list, secrets[Operator])
	said, signature, _ := strings.Cut(changed.Allows, ".")
	changed.Allows = said[:len(said)-4] + "AAAA." + signature
	for _, c := range []struct {
		what  string
		token Token
		node  domain.NodeID
		code  domain.Code
	}{
		{"that a node signed", stolen, "n4", domain.Unauthorized},
		{"whose secret the caller does not have", other, "n4", domain.Unauthorized},
		{"for another node", tokenFor(t, "n5", list, secrets[Operator]), "n4", domain.Forbidden},
		{"that was changed", changed, "n4", domain.Invalid},
		{"in the name of a member", token, "n2", domain.Conflict},
		{"in the name of the operator", token, Operator, domain.Forbidden},
	} {
		if _, err := joins(c.token, c.node, time.Now).Join(t.Context(), nodes[0].server.URL, wish); domain.CodeOf(err) != c.code {
			t.Errorf("a token %s: want %s, found %v", c.what, c.code, err)
		}
	}
	for range 2 { // a repetition, through a follower, gets the same answer
		client := joins(token, "n4", time.Now)
		state, err := client.Join(t.Context(), nodes[1].server.URL, wish)
		if err != nil || len(state.Members) != 3 || len(client.Ring.Members().Members) != 3 {
			t.Fatalf("want n4 added, found %+v, %v", state.Members, err)
		}
		fourth.ring = client.Ring
	}
	if _, err := joins(token, "n5", time.Now).Join(t.Context(), nodes[0].server.URL, wish); domain.CodeOf(err) != domain.Forbidden {
		t.Errorf("a token for one node: want the second refused, found %v", err)
	}
	fourth.start(t, t.TempDir(), fourth.ring.Members(), nil, raftlog.Protocol)
	holds(t, fourth.log, "n4 a learner that follows n1", func(s raftlog.State) bool { return s.Role == "learner" && s.Leader == "n1" })
	if by := nodes[0].log.Configuration().By; !strings.HasPrefix(by, "token ") {
		t.Errorf("want the change on the word of the token, found %q", by)
	}
	if text := fmt.Sprintf("%v %+v %#v", secrets["n1"], secrets["n1"], secrets["n1"]); strings.Contains(text, secrets["n1"].Text()) {
		t.Error("a secret shows itself when it is printed")
	}
}

// TestLostFolder brings a voter back with nothing of what it promised: the others take
// no message of it until it is removed and added again.
func TestLostFolder(t *testing.T) {
	nodes := leads(t, 3)
	members := nodes[0].log.Configuration().Members
	last := nodes[2]
	seen := func(s raftlog.State) bool {
		return len(s.Members) == 3 && s.Members[2].Match != nil && *s.Members[2].Match == s.Last
	}
	noted := func(s raftlog.State) bool { return seen(s) && s.Members[1].Folder != "" && s.Members[2].Folder != "" }
	holds(t, nodes[0].log, "n3 up to date, and its folder noted", noted)
	holds(t, nodes[1].log, "the folder noted at n2", func(s raftlog.State) bool { return s.Members[2].Folder != "" })
	last.stop()
	last.open(t, t.TempDir(), members)
	last.ready.Store(nil) // it sends but does not receive
	if err := last.log.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes[:2] {
		holds(t, n.log, "n3 refused", func(s raftlog.State) bool { return s.Members[2].Refused && s.Leader == "n1" })
	}
	last.ready.Store(last.handler)
	select {
	case <-last.log.Broken():
	case <-time.After(time.Minute):
		t.Fatal("want n3 to give up when it hears what it acknowledged")
	}
	if err := last.log.Err(); domain.CodeOf(err) != domain.Conflict || !strings.Contains(err.Error(), "add it again with an empty one") {
		t.Fatalf("found %v", err)
	}
	last.stop()
	var other *raftlog.OtherFolder
	if _, err := raftlog.Open(last.dir, raftlog.Options{Cluster: cluster, Node: "n3", Members: members, Records: pebblelog.Options{Small: true}}); !errors.As(err, &other) || other.Node != "n3" {
		t.Fatalf("want the folder never opened again, found %v", err)
	}
	client := asOperator(time.Now)
	for _, change := range []ChangedMember{{Node: "n3", Role: "gone"}, {Node: "n3", Role: "learner", Address: last.member.Address, Key: last.member.Key}} {
		if _, err := client.Change(t.Context(), nodes[0].server.URL, Change{Members: []ChangedMember{change}}); err != nil {
			t.Fatal(err)
		}
	}
	last.start(t, t.TempDir(), *nodes[0].log.Configuration(), nil, raftlog.Protocol)
	holds(t, nodes[0].log, "n3 taken again", func(s raftlog.State) bool { return len(s.Members) == 3 && !s.Members[2].Refused && noted(s) })
}

// TestStrangerIsIntroduced has a node that was away while another one joined and
// became the leader: it asks the members that it knows.
func TestStrangerIsIntroduced(t *testing.T) {
	nodes := leads(t, 3)
	away := nodes[2]
	dir := away.dir
	away.stop()
	fourth := serve(t, "n4")
	client := asOperator(time.Now)
	change := func(m ChangedMember) {
		if _, err := client.Change(t.Context(), nodes[0].server.URL, Change{Members: []ChangedMember{m}}); err != nil {
			t.Fatal(err)
		}
	}
	first := nodes[0].log.Configuration().Members
	change(ChangedMember{Node: "n4", Role: "learner", Address: fourth.member.Address, Key: fourth.member.Key})
	fourth.start(t, t.TempDir(), *nodes[0].log.Configuration(), nil, raftlog.Protocol)
	holds(t, fourth.log, "n4 a learner", func(s raftlog.State) bool { return s.Role == "learner" })
	change(ChangedMember{Node: "n4", Role: "voter"})
	if _, err := client.Change(t.Context(), nodes[0].server.URL, Change{Leader: "n4"}); err != nil {
		t.Fatal(err)
	}
	until(t, fourth.log, func(l eventlog.Leader) bool { return l.Self })
	away.open(t, dir, first)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for away.ring.Members().Index == 0 {
		if err := post1(ctx, fourth.ring, away); err == nil {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("want n4 introduced to n3")
		}
	}
	if _, err := away.ring.with("n4"); err != nil {
		t.Fatalf("want a key shared with n4, found %v", err)
	}
}

// post1 sends a request that only a member may send.
func post1(ctx context.Context, ring *Ring, to *node) error {
	_, err := Client{http.DefaultClient, ring, NewSigner(ring, Saying{}, time.Now)}.one(ctx, to.member.Node, to.server.URL, "/raft/members", []byte("{}"))
	return err
}

// TestForgedCopy changes a byte of a stream of records, leaves a part out, and ends it
// early: nothing of such a part is taken.
func TestForgedCopy(t *testing.T) {
	seal := Seal{[]byte("key"), []byte("request")}
	var parts [][]byte
	out := &chunks{seal: seal, write: func(chunk []byte) error { parts = append(parts, append([]byte{}, chunk...)); return nil }}
	for i := range 3 {
		record := raftlog.AppendRecord(nil, &domain.Envelope{Position: domain.Position(i + 1), Stream: "task-a", Type: "KIND", Version: 1, Time: time.Unix(1, 0), Data: []byte("{}")})
		if err := out.add(record); err != nil {
			t.Fatal(err)
		}
		if err := out.flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.end(); err != nil {
		t.Fatal(err)
	}
	read := func(parts ...[]byte) (taken int, err error) {
		var all []io.Reader
		for _, part := range parts {
			all = append(all, strings.NewReader(string(part)))
		}
		err = readChunks(io.MultiReader(all...), seal, func(domain.Envelope) bool { taken++; return true })
		return taken, err
	}
	forged := append([]byte{}, parts[1]...)
	forged[len(forged)/2] ^= 1
	for _, c := range []struct {
		what  string
		parts [][]byte
		taken int
		code  domain.Code
	}{
		{"whole", parts, 3, ""},
		{"with a byte changed", [][]byte{parts[0], forged, parts[2], parts[3]}, 1, domain.Unauthorized},
		{"with a part left out", [][]byte{parts[0], parts[2], parts[3]}, 1, domain.Unauthorized},
		{"without its end", parts[:3], 3, domain.Unavailable},
		{"with an end too early", [][]byte{parts[0], parts[3]}, 1, domain.Unauthorized},
	} {
		taken, err := read(c.parts...)
		if taken != c.taken || c.code == "" && err != nil || c.code != "" && domain.CodeOf(err) != c.code {
			t.Errorf("a copy %s: want %d records and %q, found %d and %v", c.what, c.taken, c.code, taken, err)
		}
	}
}

// TestOldestProtocol has a node announce an older protocol: the cluster goes by that, and
// by the newer one once the node was replaced.
func TestOldestProtocol(t *testing.T) {
	nodes := make([]*node, 3)
	var members []raftlog.Member
	for i := range nodes {
		nodes[i] = serve(t, domain.NodeID(fmt.Sprint("n", i+1)))
		members = append(members, nodes[i].member)
	}
	dir := t.TempDir()
	nodes[0].open(t, t.TempDir(), members)
	nodes[1].open(t, t.TempDir(), members)
	nodes[2].start(t, dir, raftlog.Configuration{Members: members}, members, 1)
	if err := nodes[0].log.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard := func(third int) func(raftlog.State) bool {
		return func(s raftlog.State) bool {
			return s.Members[1].Protocol == raftlog.Protocol && s.Members[2].Protocol == third
		}
	}
	holds(t, nodes[0].log, "an old node heard from", heard(1))
	holds(t, nodes[0].log, "the old protocol", func(s raftlog.State) bool { return s.Protocol == 1 && s.Members[2].Build == "test" })
	nodes[2].stop()
	nodes[2].start(t, dir, raftlog.Configuration{Members: members}, members, raftlog.Protocol)
	holds(t, nodes[0].log, "a new node heard from", heard(raftlog.Protocol))
	holds(t, nodes[0].log, "the new protocol", func(s raftlog.State) bool { return s.Protocol == raftlog.Protocol })
}
