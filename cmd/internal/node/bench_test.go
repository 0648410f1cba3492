package node_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/transport"
)

// nowhere is a response that is dropped.
type nowhere struct {
	header http.Header
	status int
	bytes  int
}

func (w *nowhere) Header() http.Header { return w.header }
func (w *nowhere) WriteHeader(s int)   { w.status = s }
func (w *nowhere) Write(p []byte) (int, error) {
	w.bytes += len(p)
	return len(p), nil
}

// BenchmarkEdge sends requests to a node on the disk without a network: it measures the
// handler, the decision, the log and the read models.
func BenchmarkEdge(b *testing.B) {
	dir := b.TempDir()
	log, err := pebblelog.Open(filepath.Join(dir, "log"), pebblelog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	n, err := node.Open(node.Config{Node: "n", Log: log, StoreDir: filepath.Join(dir, "models")})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	ctx, stop := context.WithCancel(b.Context())
	followed := make(chan error, 1)
	go func() { followed <- n.Follow(ctx) }()
	defer func() { stop(); <-followed }()
	if _, err := n.Do(ctx, node.Order{ID: "roomy", Command: policycmd.SetPolicy{
		Name: domain.PolicyDefaultName, Change: []byte(`{"work":{"soft_limit":1000000000,"hard_limit":2000000000}}`), Reason: "room",
	}}); err != nil {
		b.Fatal(err)
	}
	const items = 10_000
	var last domain.Position
	for i := range items {
		result, err := n.Do(ctx, node.Order{ID: fmt.Sprint("c", i), Command: workcmd.AddTask{
			TaskID: domain.TaskID(fmt.Sprintf("t-%07d", i)), TaskType: "selfplay", ConfigKey: "hex8_2p", Payload: []byte(`{"games":200}`),
		}})
		if err != nil {
			b.Fatal(err)
		}
		last = result.Position
	}
	if err := n.Store().WaitFor(ctx, last); err != nil {
		b.Fatal(err)
	}
	handler, err := transport.NewHandler(n.Backend(), transport.Config{}, wiring.Areas()...)
	if err != nil {
		b.Fatal(err)
	}
	body := fmt.Sprintf(`{"task_type":"selfplay","config_key":"hex8_2p","payload":{"text":%q}}`, strings.Repeat("0123456789abcdef", 60))
	for _, c := range []struct {
		name, method string
		target       func(int) string
		body         string
		clients      int
	}{
		{"item", "GET", func(i int) string { return fmt.Sprintf("/work/items/t-%07d", i*7919%items) }, "", 1},
		{"items", "GET", func(int) string { return "/work/items?limit=100" }, "", 1},
		{"command", "POST", func(int) string { return "/work/add" }, body, 32},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(c.clients)
			var turn, size atomic.Int64
			ask := func() {
				var body io.Reader
				if c.body != "" {
					body = bytes.NewReader([]byte(c.body))
				}
				r, err := http.NewRequestWithContext(ctx, c.method, c.target(int(turn.Add(1))), body)
				if err != nil {
					b.Error(err)
				}
				w := &nowhere{header: http.Header{}, status: 200}
				if handler.ServeHTTP(w, r); w.status != 200 {
					b.Error(w.status)
				}
				size.Store(int64(w.bytes))
			}
			if c.clients == 1 {
				for b.Loop() {
					ask()
				}
			} else {
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						ask()
					}
				})
			}
			b.ReportMetric(float64(size.Load()), "bytes")
		})
	}
}
