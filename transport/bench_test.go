package transport_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

// instant is a node whose log and read models cost nothing, so that only the HTTP
// layer is measured.
type instant struct {
	*node
	rows *tables
}

func (n instant) Do(_ context.Context, call transport.Call) (commands.Result, error) {
	c := call.Command.(workcmd.AddTask)
	return commands.Result{
		Position: 1, Answer: workcmd.TaskAdded{TaskID: "t1"},
		Events: []domain.Envelope{{Position: 1, Stream: c.TaskID.Stream(), Type: "TASK_SPAWNED", Version: 1, Time: epoch}},
	}, nil
}

func (n instant) View(_ context.Context, _ transport.At, _ domain.Position, f func(projections.View) error) error {
	return f(n.rows)
}

type hundredRows struct {
	Rows []json.RawMessage `json:"rows"`
}

// benchServer serves the table, and routes that only answer.
func benchServer(b *testing.B) string {
	b.Helper()
	n := instant{node: newNode(b), rows: newTables()}
	row := []byte(`{"task_id":"t1","state":"queued","task_type":"selfplay","config_key":"hex8_2p","priority":50,"attempts":0,"lease":0,"node_id":"","created_at":"2026-01-02T03:04:05Z","deadline":null,"error":"","result":null,"position":1}`)
	n.rows.rows["work.items"] = map[string][]byte{"t1": row}
	rows := make([]json.RawMessage, 100)
	for i := range rows {
		rows[i] = row
	}
	table := []transport.Route{transport.Get("/bench/rows", "bench.rows", func(projections.View, projections.NoQuestion) (hundredRows, error) {
		return hundredRows{Rows: rows}, nil
	})}
	h, err := transport.NewHandler(n, transport.Config{}, append(areas(), transport.Area{Routes: table})...)
	if err != nil {
		b.Fatal(err)
	}
	h.Mux().HandleFunc("GET /noop", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = transport.JSONContent
		_, _ = w.Write(row)
	})
	h.Mux().HandleFunc("POST /noop", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = transport.JSONContent
		_, _ = w.Write([]byte(`{"position":1,"events":[]}`))
	})
	s := httptest.NewServer(h)
	b.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// load sends the same request over a number of connections and returns the answers
// per second.
func load(b *testing.B, address, request string, clients, each int) float64 {
	b.Helper()
	var wait sync.WaitGroup
	began := time.Now()
	for range clients {
		wait.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			reader := bufio.NewReaderSize(conn, 64<<10)
			for range each {
				if _, err := io.WriteString(conn, request); err != nil {
					b.Error(err)
					return
				}
				response, err := http.ReadResponse(reader, nil)
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != 200 {
					b.Errorf("status %d, %v", response.StatusCode, err)
					return
				}
			}
		})
	}
	wait.Wait()
	return float64(clients*each) / time.Since(began).Seconds()
}

// cpuTime returns the CPU time of the process. On a busy machine its ratios are
// more reliable than those of rates.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// BenchmarkEdge compares routes with routes that do nothing, alternately, and
// reports the median of the ratios: the share of a bare server's rate that is left.
func BenchmarkEdge(b *testing.B) {
	add := `{"task_id":"t1","task_type":"selfplay","config_key":"hex8_2p","payload":{"pad":"` + strings.Repeat("x", 940) + `"}}`
	for _, c := range []struct{ name, bare, route string }{
		{"command 1KiB", post("/noop", add), post("/work/add", add)},
		{"one row", get("/noop"), get("/work/items/t1")},
		{"100 rows", get("/noop"), get("/bench/rows")},
	} {
		b.Run(c.name, func(b *testing.B) {
			address := benchServer(b)
			load(b, address, c.route, 64, 20)
			var ratios, rates, costs []float64
			for b.Loop() {
				start := cpuTime(b)
				bare := load(b, address, c.bare, 64, 100)
				middle := cpuTime(b)
				rate := load(b, address, c.route, 64, 100)
				end := cpuTime(b)
				ratios, rates = append(ratios, rate/bare), append(rates, rate)
				costs = append(costs, float64(middle-start)/float64(end-middle))
			}
			b.ReportMetric(median(costs), "cpu-x-noop")
			b.ReportMetric(median(ratios), "x-noop")
			b.ReportMetric(slices.Min(ratios), "x-noop-min")
			b.ReportMetric(slices.Max(ratios), "x-noop-max")
			b.ReportMetric(median(rates), "req/s")
		})
	}
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// BenchmarkBinding checks and decodes a command of 1 KiB.
func BenchmarkBinding(b *testing.B) {
	body := []byte(`{"task_id":"t1","task_type":"selfplay","config_key":"hex8_2p","payload":{"pad":"` + strings.Repeat("x", 940) + `"}}`)
	route := transport.Post[workcmd.AddTask]("/x")
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := route.Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkServe is one request through the handler without a network.
func BenchmarkServe(b *testing.B) {
	n := instant{node: newNode(b), rows: newTables()}
	n.rows.rows["work.items"] = map[string][]byte{"t1": []byte(`{"task_id":"t1"}`)}
	h, err := transport.NewHandler(n, transport.Config{}, areas()...)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, method, target, body string }{
		{"query", "GET", "/work/items/t1", ""}, {"command", "POST", "/work/add", `{"task_id":"t1","task_type":"x","payload":{"a":1}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := http.NewRequestWithContext(context.Background(), c.method, c.target, strings.NewReader(c.body))
				if err != nil {
					b.Fatal(err)
				}
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}

// BenchmarkStreams is the time from an append to the last of a hundred readers.
func BenchmarkStreams(b *testing.B) {
	n := newNode(b)
	h, err := transport.NewHandler(n, transport.Config{}, areas()...)
	if err != nil {
		b.Fatal(err)
	}
	s := httptest.NewServer(h)
	defer s.Close()
	defer h.CloseStreams()
	const readers = 100
	told := make(chan struct{}, readers)
	for range readers {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, get("/events/stream")); err != nil {
			b.Fatal(err)
		}
		go func() {
			lines := bufio.NewScanner(conn)
			for lines.Scan() {
				if text := lines.Text(); strings.HasPrefix(text, "data:") || strings.HasPrefix(text, ": caught up") {
					told <- struct{}{}
				}
			}
		}()
	}
	for range readers {
		<-told
	}
	i := 0
	var took []float64
	for b.Loop() {
		began := time.Now()
		i++
		if _, err := n.log.Append(b.Context(), "a-1", domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID("s", i), Type: "FACT", Version: 1, Time: epoch, Data: []byte(`{"pad":"` + strings.Repeat("x", 200) + `"}`),
		}); err != nil {
			b.Fatal(err)
		}
		for range readers {
			<-told
		}
		took = append(took, float64(time.Since(began).Microseconds()))
	}
	b.ReportMetric(median(took), "µs-all")
}
