package gossip_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gossip"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const start = 1_767_000_000_000

func doc(node string, incarnation, counter uint64) gossip.Document {
	return gossip.Document{NodeID: domain.NodeID(node), Incarnation: start + incarnation, Counter: counter, Time: now}
}

// documents are such as several nodes say, and some that others make up.
func documents() *rapid.Generator[[]gossip.Document] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) gossip.Document {
		d := doc(rapid.SampledFrom([]string{"a", "b", "d"}).Draw(t, "node"), rapid.Uint64Range(0, 2).Draw(t, "incarnation"), rapid.Uint64Range(0, 1).Draw(t, "counter"))
		d.Facts = json.RawMessage(rapid.SampledFrom([]string{"", `{"a":1}`, `{"a":2}`, `[]`}).Draw(t, "facts"))
		d.Time = now.Add(time.Duration(rapid.Int64Range(-26, 0).Draw(t, "hours")) * time.Hour)
		return d
	}), 0, 12)
}

// What a node knows in the end does not depend on the order in which documents came,
// how often, or in which company; and what it says of itself is its own.
func TestMergeIsCommutativeAssociativeIdempotent(t *testing.T) {
	rules := gossip.Rules{Now: now, Retired: func(id domain.NodeID) bool { return id == "d" }}
	rapid.Check(t, func(t *rapid.T) {
		all := documents().Draw(t, "documents")
		merged := func(parts ...[]gossip.Document) *gossip.Peers {
			p := gossip.NewPeers(doc("z", 0, 0))
			for _, part := range parts {
				p.Merge(part, rules)
			}
			return p
		}
		want := merged(all)
		shuffled := rapid.Permutation(all).Draw(t, "order")
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		for name, p := range map[string]*gossip.Peers{
			"in another order": merged(shuffled), "in two parts": merged(shuffled[:cut], shuffled[cut:]), "twice": merged(all, shuffled, all),
			"by way of another": merged(merged(shuffled[:cut]).Documents(), merged(all[:0], shuffled[cut:], shuffled).Documents()),
		} {
			if !reflect.DeepEqual(p.Documents(), want.Documents()) || p.Digests().Root() != want.Digests().Root() {
				t.Fatalf("%s: want %+v, found %+v", name, want.Documents(), p.Documents())
			}
		}
		for _, d := range want.Documents() {
			if d.NodeID == "d" || len(d.Faults(now)) > 0 {
				t.Fatalf("taken over: %+v", d)
			}
			for _, other := range all {
				if other.NodeID == d.NodeID && len(other.Faults(now)) == 0 && other.Version().Compare(d.Version()) > 0 {
					t.Fatalf("want %+v, which is newer than %+v", other, d)
				}
			}
		}
	})
}

// Whatever others say of a node, its own word outweighs it, and it is a word of it.
func TestANodeRefutesWhatIsSaidOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := doc("a", 1, 1)
		own.Digest = "own"
		p := gossip.NewPeers(own)
		said := documents().Draw(t, "said")
		p.Merge(said, gossip.Rules{Now: now})
		if p.Own().Digest != "own" {
			t.Fatalf("it says what others made up: %+v", p.Own())
		}
		others := gossip.NewPeers(doc("z", 0, 0))
		others.Merge(said, gossip.Rules{Now: now})
		others.Merge([]gossip.Document{p.Own()}, gossip.Rules{Now: now})
		for _, d := range others.Documents() {
			if d.NodeID == "a" && d.Digest != "own" {
				t.Fatalf("want the word of the node, %+v, found %+v", p.Own(), d)
			}
		}
	})
}

// A thousand documents on forty nodes are everywhere after few rounds in which each
// node asks one other, with a tenth of the exchanges cut off in the middle.
func TestAThousandDocumentsConverge(t *testing.T) {
	const nodes, owned, allowed = 40, 25, 15
	worst := 0
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 1))
		rules := gossip.Rules{Now: now}
		var peers []*gossip.Peers
		for i := range nodes {
			p := gossip.NewPeers(doc(fmt.Sprintf("node-%d-0", i), 0, 0))
			for j := 1; j < owned; j++ {
				p.Merge([]gossip.Document{doc(fmt.Sprintf("node-%d-%d", i, j), 0, uint64(j))}, rules)
			}
			peers = append(peers, p)
		}
		round := 0
		for ; round < allowed && !agree(peers); round++ {
			for i, p := range peers {
				other := random.IntN(nodes - 1)
				if other >= i {
					other++
				}
				cut, steps := random.IntN(30), 0 // steps of which one in ten exchanges has too few
				err := p.Reconcile("main", rules, func(ask gossip.Ask) (gossip.Answer, error) {
					if steps++; steps > cut && cut < 3 {
						return gossip.Answer{}, domain.ErrUnavailable
					}
					answer, _ := peers[other].Answer(ask, rules)
					return answer, nil
				}, func(gossip.Merged) {})
				if err != nil && domain.CodeOf(err) != domain.Unavailable {
					t.Fatal(err)
				}
			}
		}
		if !agree(peers) || peers[0].Len() != nodes*owned {
			t.Errorf("seed %d: not the same documents after %d rounds", seed, round)
		}
		worst = max(worst, round)
	}
	t.Logf("%d rounds at most", worst)
}

func agree(peers []*gossip.Peers) bool {
	root := peers[0].Digests().Root()
	for _, p := range peers {
		if p.Digests().Root() != root {
			return false
		}
	}
	return true
}

// Two nodes that agree find out by a digest; of two that differ in one document only
// the versions of one range and the document itself go over the wire.
func TestOnlyWhatDiffersIsTold(t *testing.T) {
	var all []gossip.Document
	for i := range 1000 {
		all = append(all, doc(fmt.Sprint("node-", i), 0, 1))
	}
	rules := gossip.Rules{Now: now}
	a, b := gossip.NewPeers(doc("a", 0, 0)), gossip.NewPeers(doc("b", 0, 0))
	told := func() (bytes int) {
		count := func(v any) {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			bytes += len(text)
		}
		if err := a.Reconcile("main", rules, func(ask gossip.Ask) (gossip.Answer, error) {
			answer, _ := b.Answer(ask, rules)
			count(ask)
			count(answer)
			return answer, nil
		}, func(gossip.Merged) {}); err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	a.Merge(all, rules)
	b.Merge(all, rules)
	told()
	agreed := told()
	a.Merge([]gossip.Document{doc("node-7", 0, 2)}, rules)
	one := told()
	t.Logf("%d bytes between two that agree, %d where one document differs", agreed, one)
	if agreed > 200 || one > 4000 {
		t.Errorf("want at most 200 bytes and 4000, found %d and %d", agreed, one)
	}
	if a.Digests().Root() != b.Digests().Root() {
		t.Error("want the same documents")
	}
}

// A message is bounded in bytes too; what does not fit comes with the next exchange.
func TestMessagesAreBounded(t *testing.T) {
	rules := gossip.Rules{Now: now}
	a, b := gossip.NewPeers(doc("a", 0, 0)), gossip.NewPeers(doc("b", 0, 0))
	var all []gossip.Document
	for i := range 1200 {
		d := doc(fmt.Sprint("node-", i), 0, 1)
		d.Facts = json.RawMessage(fmt.Sprintf(`{"x":"%0*d"}`, gossip.MaxFacts-20, i))
		all = append(all, d)
	}
	a.Merge(all[:600], rules)
	b.Merge(all[600:], rules)
	exchanges := 0
	for ; a.Digests().Root() != b.Digests().Root(); exchanges++ {
		if exchanges == 20 {
			t.Fatalf("not the same after %d exchanges: %d and %d", exchanges, a.Len(), b.Len())
		}
		if err := a.Reconcile("main", rules, func(ask gossip.Ask) (gossip.Answer, error) {
			answer, _ := b.Answer(ask, rules)
			for _, message := range []any{ask, answer} {
				if text, err := json.Marshal(message); err != nil || len(text) > 400<<10 {
					t.Errorf("want at most 400 KiB, found %d %v", len(text), err)
				}
			}
			return answer, nil
		}, func(gossip.Merged) {}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d exchanges", exchanges)
}

// There is room for so many; those that were said last stay, and the node's own.
func TestDocumentsAreBounded(t *testing.T) {
	own := doc("self", 0, 0)
	own.Time = now.Add(-time.Hour)
	p := gossip.NewPeers(own)
	var all []gossip.Document
	for i := range gossip.MaxDocuments + 9 {
		d := doc(fmt.Sprintf("n-%05d", i), 0, 0)
		d.Time = now.Add(time.Duration(i-gossip.MaxDocuments-9) * time.Second)
		all = append(all, d)
	}
	merged := p.Merge(all, gossip.Rules{Now: now})
	if p.Len() != gossip.MaxDocuments || merged.Full != 10 || len(merged.Applied) != gossip.MaxDocuments-1 || merged.Applied[0].NodeID != "n-00010" {
		t.Errorf("found %d documents, %d without room, the first applied %s", p.Len(), merged.Full, merged.Applied[0].NodeID)
	}
	if p.Own().NodeID != "self" {
		t.Error("it forgot itself")
	}
	if dropped := p.Forget(gossip.Rules{Now: now.Add(gossip.MaxAge), Retired: func(id domain.NodeID) bool { return id == "n-04000" }}); dropped != gossip.MaxDocuments-1 || p.Len() != 1 {
		t.Errorf("a day later it forgot %d", dropped)
	}
}

// Whatever comes in is merged or refused, and leads to an answer that is bounded.
func FuzzAsk(f *testing.F) {
	f.Add([]byte(`{"node_id":"b","cluster":"main","root":"00"}`))
	f.Add([]byte(`{"node_id":"b","buckets":[1,2],"versions":[{"n":"c","i":1,"c":2,"h":3}]}`))
	f.Add([]byte(`{"node_id":"b","documents":[{"node_id":"a","incarnation":1767000000009,"counter":1,"facts":{"x":1},"time":"2026-01-02T03:04:05Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var ask gossip.Ask
		if json.Unmarshal(data, &ask) != nil || len(ask.Faults()) > 0 {
			return
		}
		p := gossip.NewPeers(doc("a", 0, 0))
		answer, merged := p.Answer(ask, gossip.Rules{Now: now})
		if len(answer.Documents) > gossip.MaxTold || len(answer.Wanted) > gossip.MaxTold || len(merged.Applied) > len(ask.Documents) {
			t.Errorf("%+v %+v", answer, merged)
		}
		for _, d := range p.Documents() {
			if len(d.Faults(now)) > 0 {
				t.Errorf("taken over: %+v", d)
			}
		}
		var digests gossip.Digests
		if json.Unmarshal(data, &digests) == nil {
			p.Digests().Differ(digests)
		}
	})
}

// Whatever another node answers, what this one says of itself stays its own, and what it
// takes over is what a node may say.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"digests":"AA=="}`), []byte(`{"documents":[{"node_id":"a","incarnation":1767000000009,"counter":1,"time":"2026-01-02T03:04:05Z"}],"wanted":["a","../x","a"]}`))
	f.Add([]byte(`{"same":true}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		p := gossip.NewPeers(doc("a", 0, 0))
		asked := 0
		err := p.Reconcile("main", gossip.Rules{Now: now}, func(ask gossip.Ask) (answer gossip.Answer, err error) {
			asked++
			if faults := ask.Faults(); len(faults) > 0 {
				t.Errorf("asks what nobody answers: %v", faults)
			}
			if asked == 1 {
				return answer, json.Unmarshal(first, &answer)
			}
			return answer, json.Unmarshal(second, &answer)
		}, func(gossip.Merged) {})
		if own := p.Own(); asked > 3 || own.NodeID != "a" || own.Facts != nil || err == nil && own.Incarnation < start {
			t.Errorf("asked %d times, and says %+v", asked, own)
		}
		for _, d := range p.Documents() {
			if len(d.Faults(now)) > 0 {
				t.Errorf("taken over: %+v", d)
			}
		}
	})
}
