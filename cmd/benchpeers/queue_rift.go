package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// http11 calls a node over HTTP/1.1 with JSON, as any client does.
type http11 struct {
	address string
	client  *http.Client
}

// statusError is the error of an answer with a status other than 200.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

func (h http11) get(ctx context.Context, path string, answer any) error {
	return h.ask(ctx, http.MethodGet, path, "", answer)
}

func (h http11) post(ctx context.Context, path, body string, answer any) error {
	return h.ask(ctx, http.MethodPost, path, body, answer)
}

// ask sends a request and decodes its answer, unless answer is nil.
func (h http11) ask(ctx context.Context, method, path, body string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, h.address+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	return answered(h.client, request, answer)
}

// answered sends a request and decodes its answer, unless answer is nil.
func answered(client *http.Client, request *http.Request, answer any) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	where := request.Method + " " + request.URL.Path
	if response.StatusCode != http.StatusOK {
		return &statusError{response.StatusCode, fmt.Sprintf("%s: want 200, found %d %s", where, response.StatusCode, strings.TrimSpace(string(text)))}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// riftClient is a worker with a connection to a node.
type riftClient struct {
	http11
	transport *http.Transport
	node      string
	batches   bool
	held      []leased
}

// leased is a job with its lease.
type leased struct {
	TaskID  string          `json:"task_id"`
	Lease   uint64          `json:"lease"`
	Payload json.RawMessage `json:"payload"`
}

type addition struct {
	Type     string          `json:"task_type"`
	Config   string          `json:"config_key"`
	Priority int             `json:"priority"`
	Payload  json.RawMessage `json:"payload"`
}

type completion struct {
	TaskID string          `json:"task_id"`
	Lease  uint64          `json:"lease"`
	Result json.RawMessage `json:"result"`
}

type batch[T any] struct {
	Items []T `json:"items"`
}

// outcome is the result for one item of a batch; without a code it succeeded.
type outcome struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (r *riftClient) add(ctx context.Context, payloads []string) error {
	additions := make([]addition, len(payloads))
	for i, payload := range payloads {
		additions[i] = addition{jobType, jobConfig, jobPriority, json.RawMessage(payload)}
	}
	if len(additions) == 1 {
		return r.send(ctx, "/work/add", additions[0])
	}
	return r.sendAll(ctx, "/work/add_batch", batch[addition]{additions}, len(additions))
}

func (r *riftClient) claim(ctx context.Context, n int) (int, error) {
	var claimed batch[leased]
	err := r.post(ctx, "/work/claim", fmt.Sprintf(`{"node_id":%q,"limit":%d}`, r.node, n), &claimed)
	r.held = claimed.Items
	return len(r.held), err
}

func (r *riftClient) complete(ctx context.Context) error {
	completions := make([]completion, len(r.held))
	for i, job := range r.held {
		completions[i] = completion{job.TaskID, job.Lease, json.RawMessage(jobResult)}
	}
	r.held = nil
	if r.batches && len(completions) > 1 {
		return r.sendAll(ctx, "/work/complete_batch", batch[completion]{completions}, len(completions))
	}
	for _, one := range completions {
		if err := r.send(ctx, "/work/complete", one); err != nil {
			return err
		}
	}
	return nil
}

func (r *riftClient) send(ctx context.Context, path string, command any) error {
	body, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return r.post(ctx, path, string(body), nil)
}

// sendAll sends a batch, and returns an error unless all its items succeed.
func (r *riftClient) sendAll(ctx context.Context, path string, command any, n int) error {
	body, err := json.Marshal(command)
	if err != nil {
		return err
	}
	var answer batch[outcome]
	if err := r.post(ctx, path, string(body), &answer); err != nil {
		return err
	}
	if len(answer.Items) != n {
		return fmt.Errorf("%s: want %d outcomes, found %d", path, n, len(answer.Items))
	}
	for i, one := range answer.Items {
		if one.Code != "" {
			return fmt.Errorf("%s: items[%d]: %s %s", path, i, one.Code, one.Detail)
		}
	}
	return nil
}

func (r *riftClient) close(context.Context) error {
	r.transport.CloseIdleConnections()
	return nil
}
