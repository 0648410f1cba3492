package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

func clientOf(t *testing.T, h http.Handler, options ...transport.ClientOption) *transport.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.Close(); http.DefaultClient.CloseIdleConnections() })
	c, err := transport.NewClient(s.URL, [][]transport.Route{routes()}, append([]transport.ClientOption{transport.WithRetries(3, time.Millisecond)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheClientSpeaksTheTable(t *testing.T) {
	secret := "a secret of the tests"
	_, h := server(t, transport.Config{Tokens: []transport.Token{{Secret: secret}}})
	c := clientOf(t, h, transport.WithToken(secret), transport.WithActor("ann"))
	ctx := t.Context()
	tried, err := c.Do(ctx, workcmd.AddTask{TaskType: "x"}, transport.Dry())
	if err != nil || !tried.DryRun || len(tried.Events) != 1 || len(tried.Events[0].Data) == 0 {
		t.Fatalf("a dry run: want what would be appended, found %+v %v", tried, err)
	}
	receipt, err := c.Do(ctx, workcmd.AddTask{TaskID: "t 1/2", TaskType: "x"})
	if !errors.Is(err, domain.ErrInvalid) {
		t.Fatalf("want the id refused, found %+v %v", receipt, err)
	}
	receipt, err = c.Do(ctx, workcmd.AddTask{TaskID: "t:1@2", TaskType: "x"}, transport.ID("k"))
	if err != nil || receipt.ID != "k" || receipt.Position != 1 || receipt.Events[0].Type != "TASK_SPAWNED" {
		t.Fatalf("want a receipt, found %+v %v", receipt, err)
	}
	var added workcmd.TaskAdded
	if err := receipt.Into(&added); err != nil || added.TaskID != "t:1@2" {
		t.Errorf("want the result, found %+v %v", added, err)
	}
	item, err := transport.Ask[workview.TaskAnswer](ctx, c, "work.item", workview.OneTask{TaskID: "t:1@2"}, transport.After(1))
	if err != nil || !strings.Contains(string(item.Item), `"state":"queued"`) {
		t.Errorf("want the item, found %s %v", item.Item, err)
	}
	if _, err := transport.Ask[workview.TaskAnswer](ctx, c, "work.item", workview.OneTask{TaskID: "a/b c%2f"}); !errors.Is(err, domain.ErrNotFound) || !strings.Contains(err.Error(), `"a/b c%2f"`) {
		t.Errorf("a name with a slash: want the whole name asked for, found %v", err)
	}
	if _, err := transport.Ask[workview.TaskAnswer](ctx, c, "work.item", workview.OneTask{TaskID: "t:1@2"}, transport.AsOf(transport.At{Set: true})); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("at position 0: want not_found, found %v", err)
	}
	page, err := transport.Ask[transport.EventsAnswer](ctx, c, "events.read", transport.EventsQuery{Limit: 5, Selection: transport.Selection{Types: []string{"TASK_SPAWNED", "X"}, Where: `data.task_type == "x"`}})
	if err != nil || len(page.Events) != 1 || !strings.Contains(string(page.Events[0]), `"actor":"ann"`) {
		t.Errorf("want one event of ann, found %s %v", page.Events, err)
	}
	policy, err := c.Do(ctx, policycmd.SetPolicy{Name: "default", Change: []byte(`{"work":{"max_attempts":5}}`)})
	if err != nil || policy.Events[0].Stream != "policy-default" {
		t.Errorf("a command with a name in its path: want it done, found %+v %v", policy, err)
	}
	status, err := c.AskJSON(ctx, "work.status", projections.NoQuestion{})
	if err != nil || !strings.Contains(string(status), `"queued":1`) {
		t.Errorf("want the status, found %s %v", status, err)
	}
}

// Fields that this build does not know are sent to the node unchanged, and its
// answer is returned.
func TestTheClientPassesOnWhatItDoesNotKnow(t *testing.T) {
	var asked []string
	answer := `{"position":1,"events":[],"newer":true}`
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.URL.RequestURI()+" "+string(body))
		if _, err := w.Write([]byte(answer)); err != nil {
			t.Error(err)
		}
	}))
	receipt, err := c.DoJSON(t.Context(), "work.add", []byte(`{"colour":"red"}`), transport.Dry())
	if err != nil || string(receipt.Body) != answer {
		t.Errorf("want the answer as it came, found %s %v", receipt.Body, err)
	}
	if _, err := c.DoJSON(t.Context(), "policies.set", []byte(`{"name":"a/b","policy":{},"colour":1}`)); err != nil {
		t.Error(err)
	}
	if _, err := c.DoJSON(t.Context(), "policies.set", []byte(`{"policy":{}}`)); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("without the name in its path: want it refused, found %v", err)
	}
	given := url.Values{"id": {"a/b"}, "colour": {"red"}}
	item, err := c.AskValues(t.Context(), "work.item", given, transport.After(3))
	if err != nil || string(item) != answer {
		t.Errorf("want the answer as it came, found %s %v", item, err)
	}
	if len(given) != 2 {
		t.Errorf("want the caller's values as they were, found %v", given)
	}
	want := []string{`/work/add?dry_run=1 {"colour":"red"}`, `/policies/a%2Fb {"name":"a/b","policy":{},"colour":1}`, `/work/items/a%2Fb?after=3&colour=red `}
	if !slices.Equal(asked, want) {
		t.Errorf("want %q, found %q", want, asked)
	}
	for _, name := range []string{"work.item", "no.such"} {
		if _, err := c.DoJSON(t.Context(), name, nil); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s is no command: want it refused, found %v", name, err)
		}
	}
	for _, name := range []string{"work.add", "no.such", "work.item"} {
		if _, err := c.AskValues(t.Context(), name, nil); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: want a query with its path, found %v", name, err)
		}
	}
	answer = "hello"
	if _, err := c.AskValues(t.Context(), "work.status", nil); !transport.Foreign(err) || !strings.Contains(err.Error(), "hello") {
		t.Errorf("an answer that is none: want it told, found %v", err)
	}
	if _, err := c.DoJSON(t.Context(), "work.add", []byte(`{}`)); !transport.Foreign(err) {
		t.Errorf("an answer that is none: want it told, found %v", err)
	}
}

func TestRefusalsSayWhoAndWhen(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		code   domain.Code
		text   string
	}{
		{429, `{"type":"urn:rift:problem:too_many","code":"too_many","title":"A bound was hit","detail":""}`, domain.TooMany, "A bound was hit"},
		{400, `{"type":"urn:rift:problem:invalid","code":"invalid","detail":"work.add: priority: too much","faults":[{"field":"priority","reason":"too much"}]}`, domain.Invalid, "work.add: priority: too much"},
	} {
		client := clientOf(t, saying(t, c.status, "application/problem+json; charset=utf-8", c.body), transport.WithRetries(0, 0))
		_, err := client.AskValues(t.Context(), "work.status", nil)
		var refused *transport.Refused
		if !errors.As(err, &refused) || refused.After != 7*time.Second || refused.Problem.Code != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%d %s: found %+v %v", c.status, c.body, refused, err)
		}
		if transport.Unreachable(err) {
			t.Errorf("%d: a node answered, found that none did", c.status)
		}
	}
}

func saying(t *testing.T, status int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Location", "/work/status")
		w.WriteHeader(status)
		if _, err := w.Write([]byte(body)); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
			t.Error(err)
		}
	})
}

// An answer that does not come from rift counts as no answer, whatever it says and
// for every kind of call.
func TestStrangersDecideNothing(t *testing.T) {
	const problem = "application/problem+json"
	for _, c := range []struct {
		status            int
		contentType, body string
	}{
		{200, "text/html", "<html>maintenance</html>"},
		{200, "application/json", "{}"},
		{200, "application/json", `{"status":"ok"}`},
		{200, "application/json", `{"position":"here","events":[]}`},
		{200, "application/json", `{"position":1,"events":{}`},
		{200, "application/json", "null"},
		{200, "application/json", ""},
		{201, "application/json", `{"position":1,"events":[]}`},
		{204, "", ""},
		{302, "text/html", ""},
		{307, "text/html", ""},
		{400, "text/plain", "bad request"},
		{400, "application/json", `{"type":"urn:rift:problem:invalid","code":"invalid"}`},
		{401, "text/html", "log in"},
		{404, "text/plain", "404 page not found"},
		{404, "application/json", `{"code":"not_found"}`},
		{404, problem, `{"code":"not_found","detail":"no such bucket"}`},
		{404, problem, `{"type":"about:blank","title":"Not Found","status":404}`},
		{404, problem, `{"type":"urn:rift:problem:no_such_code","code":"no_such_code"}`},
		{409, problem, `{"type":"urn:rift:problem:stale_lease"`},
		{409, "text/plain", "conflict"},
		{410, "text/plain", "gone"},
		{413, "text/html", "too large"},
		{500, problem, "{}"},
		{502, "", ""},
	} {
		client := clientOf(t, saying(t, c.status, c.contentType, c.body), transport.WithRetries(0, 0))
		_, asked := client.AskValues(t.Context(), "work.status", nil)
		_, done := client.Do(t.Context(), workcmd.AddTask{TaskType: "x"})
		_, _, followed := client.FollowOnce(t.Context(), 0, transport.Selection{}, func(transport.Followed, error) bool { return true })
		answers := map[string]error{"query": asked, "command": done, "stream": followed}
		for what, err := range answers {
			var refused *transport.Refused
			if !transport.Foreign(err) || !transport.Unreachable(err) || errors.As(err, &refused) || domain.CodeOf(err) != domain.Unavailable {
				t.Errorf("%s answered %d %s %q: found %v, want that nobody answered", what, c.status, c.contentType, c.body, err)
			}
		}
	}
}

func TestABrokenAnswerIsNone(t *testing.T) {
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		if _, err := w.Write([]byte("{")); err != nil {
			t.Error(err)
		}
	}), transport.WithRetries(0, 0))
	if _, err := c.AskValues(t.Context(), "work.status", nil); !transport.Unreachable(err) || !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("want no answer, found %v", err)
	}
}

func TestErrorsKeepTheirClassOverTheWire(t *testing.T) {
	n, h := server(t, transport.Config{})
	c := clientOf(t, h, transport.WithRetries(0, 0))
	for code := range transport.Statuses {
		n.failWith = domain.Errorf(code, "wanted this, found that")
		_, err := c.Do(t.Context(), workcmd.AddTask{TaskType: "x"})
		var refused *transport.Refused
		if !errors.Is(err, &domain.Error{Code: code}) || !errors.As(err, &refused) || refused.Problem.RequestID == "" {
			t.Errorf("%s: want an error of that class, found %v", code, err)
		}
		if code != domain.Internal && !strings.Contains(err.Error(), "found that") {
			t.Errorf("%s: want what the node said, found %v", code, err)
		}
	}
	n.failWith = &transport.LeaderHint{Leader: "n2:1", Term: 3}
	_, err := c.Do(t.Context(), workcmd.AddTask{TaskType: "x"})
	var hint *transport.LeaderHint
	if !errors.As(err, &hint) || hint.Leader != "n2:1" || hint.Term != 3 {
		t.Errorf("want the leader told, found %v", err)
	}
	n.failWith = domain.Faulty("work.add", []domain.Fault{{Field: "priority", Reason: "want less"}})
	_, err = c.Do(t.Context(), workcmd.AddTask{TaskType: "x"})
	var coded *domain.Error
	if !errors.As(err, &coded) || len(coded.Faults) != 1 || strings.Count(err.Error(), "want less") != 1 {
		t.Errorf("want the faults once, found %v", err)
	}
	n.failWith = &eventlog.Conflict{Stream: "a-1", Expected: 1, Found: 2}
	_, err = c.Do(t.Context(), workcmd.AddTask{TaskType: "x"})
	var refused *transport.Refused
	if !errors.As(err, &refused) || refused.Problem.Found == nil || *refused.Problem.Found != 2 {
		t.Errorf("want the revision found, found %v", err)
	}
}

func TestTheClientRepeatsUnderTheSameID(t *testing.T) {
	n, h := server(t, transport.Config{})
	var mu sync.Mutex
	var ids []string
	try := func(id string) int {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, id)
		return len(ids)
	}
	tried := func() []string {
		mu.Lock()
		defer mu.Unlock()
		found := ids
		ids = nil
		return found
	}
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch try(r.Header.Get("Idempotency-Key")) {
		case 1:
			h.ServeHTTP(httptest.NewRecorder(), r) // done, and the answer lost
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			h.ServeHTTP(w, r)
		}
	}))
	receipt, err := c.Do(t.Context(), workcmd.AddTask{TaskID: "t1", TaskType: "x"})
	if err != nil || !receipt.Duplicate {
		t.Fatalf("want the first answer again, found %+v %v", receipt, err)
	}
	if found := tried(); len(found) != 3 || found[0] != found[1] || found[1] != found[2] || found[0] != receipt.ID {
		t.Errorf("want three tries under one id, found %v", found)
	}
	if head, _ := n.log.Head(t.Context()); head != 1 {
		t.Errorf("want one event, found %d", head)
	}
	if _, err := c.Do(t.Context(), workcmd.AddTask{TaskID: "t1", TaskType: "y"}, transport.ID("other")); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("want a conflict, found %v", err)
	}
	if found := tried(); len(found) != 3 {
		t.Errorf("a refusal must not be repeated; found %d tries", len(found))
	}
}

func TestTheClientGivesUp(t *testing.T) {
	c, err := transport.NewClient("127.0.0.1:1", [][]transport.Route{routes()}, transport.WithRetries(1, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), workcmd.AddTask{TaskType: "x"}); !errors.Is(err, domain.ErrUnavailable) || !transport.Unreachable(err) {
		t.Errorf("nobody there: want unavailable, found %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, workcmd.AddTask{TaskType: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("want the cancellation, found %v", err)
	}
	for _, bad := range []string{"", "ftp://x", "http://", "::"} {
		if _, err := transport.NewClient(bad, [][]transport.Route{routes()}); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("address %q: want it refused, found %v", bad, err)
		}
	}
	if _, err := transport.Ask[int](t.Context(), c, "no.such", 1); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("want an unknown query refused, found %v", err)
	}
	if _, err := transport.Ask[int](t.Context(), c, "work.item", 1); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("want a question of another type refused, found %v", err)
	}
}
