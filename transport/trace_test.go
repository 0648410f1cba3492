package transport_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

func TestASpanPerRequestInsideTheCallersOwn(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	_, h := server(t, transport.Config{Tracer: provider.Tracer("test")})
	const trace = "0af7651916cd43dd8448eb211c80319c"
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`, header{"Traceparent", "00-" + trace + "-b7ad6b7169203331-01"}, header{"Idempotency-Key", "k"}))
	ask(t, h, "POST", "/work/add", `{"nope":1}`)
	spans := recorder.Ended()
	if len(spans) != 2 || spans[0].Name() != "work.add" || spans[0].SpanContext().TraceID().String() != trace {
		t.Fatalf("want two spans, the first in the caller's trace, found %v", spans)
	}
	said := attribute.NewSet(spans[0].Attributes()...)
	if id, _ := said.Value("rift.command_id"); id.AsString() != "k" {
		t.Errorf("want the command id, found %v", spans[0].Attributes())
	}
	if position, _ := said.Value("rift.position"); position.AsInt64() != 1 {
		t.Errorf("want the position, found %v", spans[0].Attributes())
	}
	if status := spans[1].Status(); !strings.Contains(status.Description, "nope") {
		t.Errorf("want the refusal in its span, found %v", status)
	}
}

func TestARequestThatTakesTooLongSaysSo(t *testing.T) {
	n := newNode(t)
	stuck := transport.Tell("/stuck", "test.stuck", stuckReport)
	h, err := transport.NewHandler(n, transport.Config{Timeout: time.Millisecond}, transport.Area{Routes: []transport.Route{stuck}})
	if err != nil {
		t.Fatal(err)
	}
	got := ask(t, h, "GET", "/stuck", "")
	if got.status != 504 || got.code() != "timeout" || !strings.Contains(got.text, "within 1ms") {
		t.Errorf("want 504 with the bound, found %d %s", got.status, got.text)
	}
}

func stuckReport(ctx context.Context, _ transport.Backend, q projections.NoQuestion) (projections.NoQuestion, domain.Position, error) {
	<-ctx.Done()
	return q, 0, ctx.Err()
}
