package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// workServer answers as a node with a queue does: claims of two items at most.
type workServer struct {
	mu      sync.Mutex
	asked   map[string]int // requests by path
	items   map[string]int // items by path
	empty   bool           // claims give nothing
	refused string         // fields of the last item of an answer to a batch
}

func (s *workServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 1
	switch path := r.URL.Path; {
	case path == claimPath:
		n = min(2, s.want(body))
	case strings.HasSuffix(path, "_batch"):
		n = strings.Count(string(body), "{") - 1
	}
	s.asked[r.URL.Path]++
	s.items[r.URL.Path] += n
	answer := "{}"
	switch {
	case r.URL.Path == claimPath && s.empty:
		answer = `{"items":[]}`
	case r.URL.Path == claimPath, strings.HasSuffix(r.URL.Path, "_batch"):
		item := `{"task_id":"t-1","lease":7,"payload":{"text":"` + strings.Repeat("x", 9000) + `"}}`
		answer = `{"items":[` + strings.Repeat(item+",", n-1) + item[:len(item)-1] + s.refused + `}]}`
	}
	_, _ = io.WriteString(w, answer[:len(answer)/2])
	w.(http.Flusher).Flush() // chunked, the item in two pieces
	_, _ = io.WriteString(w, answer[len(answer)/2:])
}

// want is the limit of a claim.
func (s *workServer) want(body []byte) (limit int) {
	if _, err := fmt.Sscanf(string(body[strings.Index(string(body), `"limit"`):]), `"limit":%d}`, &limit); err != nil {
		return 0
	}
	return limit
}

func startWork(t *testing.T) (*workServer, string) {
	t.Helper()
	s := &workServer{asked: map[string]int{}, items: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, strings.TrimPrefix(server.URL, "http://")
}

// A job is claimed, completed and followed by another, alone or in batches that
// take as many claims as they need; only claims are timed.
func TestJobsKeepTheQueueAsLongAsItIs(t *testing.T) {
	for _, batch := range []int{1, 5} {
		work, host := startWork(t)
		s := &suite{options: Options{Quick: true}}
		did, err := s.calls(t.Context(), host, 3, func(c *caller) error { return c.job(batch) })
		if err != nil {
			t.Fatal(err)
		}
		add := addPath
		if batch > 1 {
			add += "_batch"
		}
		claimed := work.items[claimPath]
		completed := work.items[completePath] + work.items[completePath+"_batch"]
		if claimed == 0 || completed != claimed || work.items[add] != claimed || did.jobs != claimed {
			t.Errorf("batches of %d: found %v items, %d jobs", batch, work.items, did.jobs)
		}
		if want := (batch + 1) / 2 * work.asked[add]; work.asked[claimPath] != want {
			t.Errorf("batches of %d: want %d claims, found %d", batch, want, work.asked[claimPath])
		}
		if n := len(did.micros); n == 0 || n > work.asked[claimPath] || did.micros[0] <= 0 || did.rate <= 0 {
			t.Errorf("batches of %d: found %d timed of %d claims, %v a second", batch, n, work.asked[claimPath], did.rate)
		}
	}
}

func TestJobsEndWithWhatIsNotDone(t *testing.T) {
	s := &suite{options: Options{Quick: true}}
	work, host := startWork(t)
	work.empty = true
	if _, err := s.calls(t.Context(), host, 1, func(c *caller) error { return c.job(1) }); err == nil || !strings.Contains(err.Error(), "want 1 to 1 items claimed") {
		t.Errorf("want a claim that gives nothing to be an error, found %v", err)
	}
	work, host = startWork(t)
	work.refused = `,"code":"conflict","detail":"stale"`
	if _, err := s.calls(t.Context(), host, 1, func(c *caller) error { return c.job(2) }); err == nil || !strings.Contains(err.Error(), "items[1]: conflict stale") {
		t.Errorf("want a refused item of a batch to be an error, found %v", err)
	}
	if _, err := s.calls(t.Context(), host, 1, (*caller).noJob); err != nil {
		t.Error(err)
	}
	if work.asked[barePath] == 0 || work.asked[barePath]%3 != 0 {
		t.Errorf("want three requests in turn, found %d", work.asked[barePath])
	}
}
