package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// One caller takes half of the places at most, by its address or by its token.
func TestOneCallerCannotTakeAllPlaces(t *testing.T) {
	tokens := []transport.Token{{Name: "greedy", Secret: "0123456789abcdef"}, {Name: "honest", Secret: "fedcba9876543210"}, {Secret: "0011223344556677"}}
	for _, config := range []transport.Config{{Streams: 4}, {Streams: 4, Tokens: tokens}} {
		synctest.Test(t, func(t *testing.T) {
			_, h := server(t, config)
			ctx, cancel := context.WithCancel(t.Context())
			var open []*following
			stream := func(address, secret string) int {
				r := from("/events/stream", address).WithContext(ctx)
				r.Header.Set("Authorization", "Bearer "+secret)
				reader, writer := io.Pipe()
				f := &following{head: make(chan struct{}), header: http.Header{}, pipe: writer, reader: reader, done: make(chan struct{})}
				go func() {
					defer close(f.done)
					defer writer.Close()
					h.ServeHTTP(f, r)
				}()
				go func() { _, _ = io.Copy(io.Discard, reader) }()
				<-f.head
				open = append(open, f)
				return f.status
			}
			greedy := func(int) int { return stream("192.0.2.1:77", tokens[0].Secret) }
			if config.Tokens != nil {
				greedy = func(i int) int { return stream(fmt.Sprintf("192.0.2.%d:77", i), tokens[0].Secret) }
			}
			for i, want := range []int{200, 200, 429, 429} {
				if got := greedy(i); got != want {
					t.Errorf("stream %d of one caller: want %d, found %d", i, want, got)
				}
			}
			for i, secret := range []string{tokens[1].Secret, tokens[2].Secret} {
				if got := stream(fmt.Sprintf("[2001:db8:%d::1]:77", i), secret); got != 200 {
					t.Errorf("a stream of another caller: want 200, found %d", got)
				}
			}
			cancel()
			for _, f := range open {
				<-f.done
			}
		})
	}
	if a, b, c := transport.AddressOf("[2001:db8::1]:5"), transport.AddressOf("[2001:db8::ffff:2]:6"), transport.AddressOf("[2001:db8:0:1::1]:5"); a != b || a == c {
		t.Errorf("want one caller per /64, found %s, %s and %s", a, b, c)
	}
}

// The token decides who a command is recorded for. The name in the request counts
// if the token has none, and is added to the token's if it may act for others.
func TestTheTokenDecidesWhoActs(t *testing.T) {
	tokens := []transport.Token{
		{Name: "ann", Secret: "0123456789abcdef"}, {Name: "gate", Secret: "fedcba9876543210", OnBehalf: true}, {Secret: "0011223344556677"},
	}
	for _, c := range []struct {
		config         transport.Config
		secret, claims string
		status         int
		actor          string
	}{
		{transport.Config{Tokens: tokens}, tokens[0].Secret, "", 200, "ann"},
		{transport.Config{Tokens: tokens}, tokens[0].Secret, "bob", 200, "ann"},
		{transport.Config{Tokens: tokens}, tokens[0].Secret, "clock", 200, "ann"},
		{transport.Config{Tokens: tokens}, tokens[1].Secret, "", 200, "gate"},
		{transport.Config{Tokens: tokens}, tokens[1].Secret, "bob", 200, "bob via gate"},
		{transport.Config{Tokens: tokens}, tokens[1].Secret, "gate", 200, "gate"},
		{transport.Config{Tokens: tokens}, tokens[2].Secret, "bob", 200, "bob"},
		{transport.Config{Tokens: tokens}, tokens[2].Secret, "ann", 403, ""},
		{transport.Config{Tokens: tokens}, tokens[2].Secret, "reactor:x", 400, ""},
		{transport.Config{}, "", "bob", 200, "bob"},
		{transport.Config{}, "", "", 200, ""},
		{transport.Config{}, "", "clock", 400, ""},
		{transport.Config{}, "", "rift", 400, ""},
		{transport.Config{}, "", "reactor:populator", 400, ""},
	} {
		n, h := server(t, c.config)
		var headers []header
		if c.secret != "" {
			headers = append(headers, header{"Authorization", "Bearer " + c.secret})
		}
		if c.claims != "" {
			headers = append(headers, header{"Rift-Actor", c.claims})
		}
		for _, route := range [][2]string{{"/work/add", `{"task_id":"t1","task_type":"selfplay"}`}, {"/events", `{"type":"EVALUATION_COMPLETED","payload":{"config_key":"c","model":"m"}}`}} {
			got := ask(t, h, "POST", route[0], route[1], headers...)
			if got.status != c.status && (route[0] == "/work/add" || c.status != 200) {
				t.Errorf("%s as %q: want %d, found %d %s", route[0], c.claims, c.status, got.status, got.text)
			}
		}
		for e, err := range n.log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil || e.Meta.Actor != c.actor {
				t.Errorf("%q shows %.6s: want the events of %q, found %q %v", c.claims, c.secret, c.actor, e.Meta.Actor, err)
			}
		}
	}
}
