//go:build unix

package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/domain"
)

// line is how the wire between a worker and the node is.
type line int

// The states of a line. A worker behind a line that is not open is partitioned.
const (
	lineOpen   line = iota
	lineCut         // connections end at once
	lineDead        // nothing comes back, for as long as it lasts
	lineOneWay      // the node hears everything, and no answer arrives
)

// witness is what went over all lines: every command that reached the node, with
// its first answer, whether or not the worker saw it.
type witness struct {
	mu     sync.Mutex
	ledger *ledger
	first  map[string]int64  // by key, when the command was sent first
	order  []string          // of keys, by their first answer
	ended  map[string]int64  // by key, when the first answer was there
	client map[string]int    // by key, who sent it
	told   map[string]answer // by key
	empty  map[string]int    // by key of a claim, the answers that gave nothing
	stale  int               // reports that were refused as stale
	errors []error
}

func newWitness() *witness {
	return &witness{ledger: newLedger(), first: map[string]int64{}, ended: map[string]int64{}, client: map[string]int{}, told: map[string]answer{}, empty: map[string]int{}}
}

// sent notes that a command is on its way to the node.
func (w *witness) sent(client int, o order, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, again := w.first[o.key]; !again {
		w.first[o.key], w.client[o.key] = at.UnixNano(), client
		w.ledger.entries[o.key] = &entry{order: o}
	}
	w.ledger.entries[o.key].sent++
}

// answered notes what the node said. A claim that took nothing leaves no trace at
// the node: asked again it is another claim, unless an earlier sending of it has no
// answer yet, which may take something still.
func (w *witness) answered(o order, a answer, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.Status >= 500 {
		if a.Code != domain.Unavailable {
			w.errors = append(w.errors, fmt.Errorf("%s %s: found %v", o.path, o.body, a))
		}
		return
	}
	if o.path == "/work/claim" && len(a.Items) == 0 {
		w.empty[o.key]++
		if _, answered := w.told[o.key]; !answered && w.ledger.entries[o.key].sent == w.empty[o.key] {
			delete(w.first, o.key)
			delete(w.empty, o.key)
			delete(w.ledger.entries, o.key)
		}
		return
	}
	if e := w.ledger.entries[o.key]; e != nil {
		e.answers = append(e.answers, a)
	}
	for _, one := range append(a.Items[:len(a.Items):len(a.Items)], lease{Code: a.Code}) {
		if one.Code == domain.StaleLease {
			w.stale++
		}
	}
	if _, again := w.told[o.key]; !again {
		w.told[o.key], w.ended[o.key] = a, at.UnixNano()
		w.order = append(w.order, o.key)
	}
}

// do sends a command of the test's own and notes it.
func (w *witness) do(t *testing.T, c *caller, client int, o order) answer {
	t.Helper()
	w.sent(client, o, time.Now())
	a, err := c.do(t.Context(), o)
	if err != nil {
		t.Fatalf("%s %s: %v", o.path, o.body, err)
	}
	w.answered(o, a, time.Now())
	return a
}

// history is what happened, as operations on items: a command that was sent
// several times under one key took effect between its first sending and its
// first answer.
func (w *witness) history() []porcupine.Operation {
	w.mu.Lock()
	defer w.mu.Unlock()
	var history []porcupine.Operation
	for _, key := range w.order {
		o, a := w.ledger.entries[key].order, w.told[key]
		verb, isWork := strings.CutPrefix(o.path, "/work/")
		if !isWork || verb == "claim" && !a.ok() {
			continue // a claim that lost every race changed nothing
		}
		add := func(item domain.TaskID, under uint64, out queuemodel.Told) {
			in := queuemodel.Asked{Verb: strings.TrimSuffix(verb, "_batch"), Item: item, Lease: under, Returned: w.ended[key]}
			history = append(history, porcupine.Operation{ClientId: w.client[key], Input: in, Call: w.first[key], Output: out, Return: w.ended[key]})
		}
		if verb == "claim" {
			for _, item := range a.Items {
				add(item.TaskID, 0, queuemodel.Told{Lease: item.Lease, Deadline: nanos(item.Deadline)})
			}
			continue
		}
		var named struct {
			lease
			Items []lease `json:"items"`
		}
		if err := json.Unmarshal([]byte(o.body), &named); err != nil || len(named.Items) != len(a.Items) {
			w.errors = append(w.errors, fmt.Errorf("%s %s: %w, %d answers", o.path, o.body, err, len(a.Items)))
			continue
		}
		if len(named.Items) == 0 {
			add(named.TaskID, named.Lease, queuemodel.Told{Code: a.Code, Cancel: a.Cancel, Deadline: nanos(a.Deadline)})
		}
		seen := map[domain.TaskID]bool{}
		for i, one := range a.Items {
			if seen[named.Items[i].TaskID] {
				continue // refused, for it stands there twice
			}
			seen[named.Items[i].TaskID] = true
			add(named.Items[i].TaskID, named.Items[i].Lease, queuemodel.Told{Code: one.Code, Cancel: one.Cancel, Deadline: nanos(one.Deadline)})
		}
	}
	return history
}

// proxy is one worker's line to the node.
type proxy struct {
	witness *witness
	node    string
	client  int
	http    *http.Client
	server  *httptest.Server
	greeted atomic.Int64 // registrations that the node took

	mu      sync.Mutex
	state   line
	changed chan struct{} // closed when the state changes
}

func newProxy(t *testing.T, w *witness, node string, client int) *proxy {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	p := &proxy{witness: w, node: node, client: client, http: &http.Client{Transport: transport, Timeout: patience}, changed: make(chan struct{})}
	p.server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.set(lineCut)
		p.server.CloseClientConnections()
		p.server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

func (p *proxy) set(state line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != state {
		p.state = state
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

func (p *proxy) now() (line, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.changed
}

// ServeHTTP passes a request on and its answer back, as far as the line allows.
func (p *proxy) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.pass(request)
	status, header, said := p.forward(request, body)
	p.pass(request)
	if state, _ := p.now(); state == lineOneWay {
		panic(http.ErrAbortHandler)
	}
	for _, name := range []string{"Content-Type", "Date", "Retry-After"} {
		if value := header.Get(name); value != "" {
			answer.Header().Set(name, value)
		}
	}
	answer.WriteHeader(status)
	_, _ = answer.Write(said) // a worker that is gone is no fault of the line
}

// pass lets through, or ends the connection: at once, or when it comes back to life.
func (p *proxy) pass(request *http.Request) {
	state, changed := p.now()
	if state == lineDead {
		select {
		case <-changed:
		case <-request.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}
	if state == lineCut {
		panic(http.ErrAbortHandler)
	}
}

func (p *proxy) forward(request *http.Request, body []byte) (int, http.Header, []byte) {
	// What was sent arrives, whoever waits for the answer.
	onward, err := http.NewRequestWithContext(context.WithoutCancel(request.Context()), request.Method, "http://"+p.node+request.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	onward.Header = request.Header.Clone()
	o := order{key: request.Header.Get("Idempotency-Key"), path: request.URL.Path, body: string(body)}
	noted := request.Method == http.MethodPost && strings.HasPrefix(o.path, "/work/")
	if noted {
		p.witness.sent(p.client, o, time.Now())
	}
	response, err := p.http.Do(onward)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if o.path == "/nodes/register" {
		p.greeted.Add(1)
	}
	if noted {
		a := answer{Status: response.StatusCode}
		if err := json.Unmarshal(said, &a); err != nil {
			a.Status, a.Detail = http.StatusInternalServerError, string(said)
		}
		p.witness.answered(o, a, time.Now())
	}
	return response.StatusCode, response.Header, said
}

// Two sendings of a claim may be under way at once: that one took nothing says nothing
// of the other.
func TestWitnessOfAClaimSentTwice(t *testing.T) {
	w := newWitness()
	claim := order{"key", "/work/claim", `{"node_id":"w"}`}
	for range 2 {
		w.sent(0, claim, time.Unix(1, 0))
	}
	w.answered(claim, answer{Status: http.StatusOK}, time.Unix(2, 0))
	w.answered(claim, answer{Status: http.StatusOK, Items: []lease{{TaskID: "a", Lease: 1}}}, time.Unix(3, 0))
	if history := w.history(); len(history) != 1 || history[0].Call != time.Unix(1, 0).UnixNano() {
		t.Errorf("want one operation from the first sending on, found %+v", history)
	}
	nothing := order{"other", "/work/claim", `{"node_id":"w"}`}
	for range 2 { // one after the other
		w.sent(0, nothing, time.Unix(4, 0))
		w.answered(nothing, answer{Status: http.StatusOK}, time.Unix(5, 0))
	}
	if _, known := w.ledger.entries[nothing.key]; known {
		t.Error("want a claim that took nothing forgotten")
	}
}
