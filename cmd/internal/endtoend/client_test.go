//go:build unix

package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

// order is a command as a client sends it.
type order struct {
	key  string // the command's id
	path string
	body string
}

// place is how an answer names an event.
type place struct {
	Type     string          `json:"type"`
	Stream   domain.StreamID `json:"stream"`
	Revision domain.Revision `json:"revision"`
	Position domain.Position `json:"position"`
}

// lease is an item as a claim answers it, and what a batch of reports answers of
// an item.
type lease struct {
	TaskID   domain.TaskID   `json:"task_id"`
	Lease    uint64          `json:"lease"`
	Deadline time.Time       `json:"deadline"`
	Cancel   bool            `json:"cancel"`
	Code     domain.Code     `json:"code"` // of a report that was refused
	Payload  json.RawMessage `json:"payload"`
}

// answer is what a node said to a command: a receipt or a problem.
type answer struct {
	Status    int             `json:"-"`
	Code      domain.Code     `json:"code"` // of a problem
	Detail    string          `json:"detail"`
	Retryable bool            `json:"retryable"`
	Position  domain.Position `json:"position"`
	Events    []place         `json:"events"`
	Duplicate bool            `json:"duplicate"`
	Items     []lease         `json:"items"`
	Deadline  time.Time       `json:"deadline"`
	Cancel    bool            `json:"cancel"`
}

func (a answer) ok() bool { return a.Status == http.StatusOK }

func (a answer) String() string {
	return fmt.Sprintf("%d %s %s %v", a.Status, a.Code, a.Detail, a.Events)
}

// caller talks to a node over connections of its own.
type caller struct {
	base string
	http *http.Client
}

func (p *process) caller() *caller {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &caller{base: "http://" + p.address, http: &http.Client{Transport: transport, Timeout: patience}}
}

// do sends a command. An error means that there was no answer, or half of one.
func (c *caller) do(ctx context.Context, o order) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+o.path, bytes.NewReader([]byte(o.body)))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", o.key)
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	return readAnswer(response)
}

func readAnswer(response *http.Response) (answer, error) {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: response.StatusCode}
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("answer %d %q: %w", response.StatusCode, body, err)
	}
	return a, nil
}

// must sends a command that has to succeed.
func (c *caller) must(t testing.TB, o order) answer {
	t.Helper()
	a, err := c.do(t.Context(), o)
	if err != nil || !a.ok() {
		t.Fatalf("%s %s: found %v, %v", o.path, o.body, a, err)
	}
	return a
}

// get asks a query that has to be answered.
func (c *caller) get(t *testing.T, path string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: found %d %s, %v", path, response.StatusCode, body, err)
	}
}

// quickly is a policy under which leases and back-offs are over within a test,
// and neither a node's failures nor a long queue come into it.
func quickly(leaseSeconds float64) order {
	return order{"policy", "/policies/default", fmt.Sprintf(`{"reason":"short test","policy":{
		"work":{"lease_seconds":%v,"backoff_base_seconds":0.02,"backoff_cap_seconds":0.05,"max_attempts":1000,"soft_limit":1000000,"hard_limit":1000000},
		"nodes":{"breaker_failures":1000000}}}`, leaseSeconds)}
}
