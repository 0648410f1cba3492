//go:build unix

package sshrun

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sshtournament"
)

// A key in an agent works like one in a file; a missing agent is an error that says
// so.
func TestAnAgentHoldsTheKey(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	secret, err := readRawKey(s.config.Key)
	if err != nil {
		t.Fatal(err)
	}
	held := agent.NewKeyring()
	if err := held.Add(agent.AddedKey{PrivateKey: secret}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(s.folder, "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				_ = agent.ServeAgent(held, conn) // until the client closes
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		served.Wait()
	})
	s.config.Key, s.config.Agent = "", socket
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	s.starts("well", 4, one.address)
	stop := s.runs()
	run, events := s.until(over)
	every(t, run, events, 4)
	stop()
	absent := s.config
	absent.Agent = filepath.Join(s.folder, "nobody")
	if _, release, err := absent.filled().auth(); domain.CodeOf(err) != domain.Unavailable {
		release()
		t.Errorf("want an agent that is not there unavailable, found %v", err)
	}
}

func readRawKey(path string) (any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ssh.ParseRawPrivateKey(text)
}

// Hosts whose key is not known, is another, or that do not know the node's, are used
// no more; so are those that do not answer.
func TestHostsThatAreNoHosts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, stranger := keyPair(t, s.folder, "stranger")
	good, unknown, changed, closed := startSSHD(t, s.folder, s.client), startSSHD(t, s.folder, s.client), startSSHD(t, s.folder, s.client), startSSHD(t, t.TempDir(), stranger)
	forced := startSSHD(t, s.folder, s.client, "ForceCommand echo hello")
	refusing := listening(t, func(conn net.Conn) { _ = conn.Close() })
	rubbish := listening(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		_ = conn.Close()
	})
	line := func(h host, like string) string { // another's key under its name
		_, key, _ := strings.Cut(like, " ")
		name, _, _ := strings.Cut(h.known, " ")
		return name + " " + key
	}
	s.knows(good.known, line(changed, good.known), closed.known, forced.known, line(refusing, good.known), line(rubbish, good.known))
	bad := []host{unknown, changed, closed, refusing, rubbish, forced}
	hosts := []string{}
	for _, h := range bad {
		hosts = append(hosts, h.address)
	}
	s.starts("well", 14, append(hosts, good.address)...)
	s.runs()
	run, _ := s.until(over)
	if run.State() != "done" || run.Games != 14 {
		t.Fatalf("want every game played by the one good host, found %s with %d: %+v", run.State(), run.Games, run.Finished)
	}
	for i, want := range []string{"is not known: add it", "is not the known one", "does not take the node's key", "", "", ""} {
		if life := run.Host(hosts[i]); want != "" && !strings.Contains(life.Dropped, want) {
			t.Errorf("%s: want it dropped because %q, found %+v", hosts[i], want, life)
		}
	}
	for shard := range run.Shards() {
		if slices.Contains(shard.Tried, good.address) {
			t.Errorf("shard %d: want the good host never to fail, found %+v", shard.Number, shard)
		}
	}
}

// A run whose hosts are all silent ends.
func TestSilentHostsEndARun(t *testing.T) {
	s := newStage(t)
	_, key := keyPair(t, s.folder, "any")
	silent := listening(t, func(net.Conn) {})
	s.knows(strings.Replace(silent.known, "KEY", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), 1))
	s.config.Dial = 50 * time.Millisecond
	s.starts("well", 2, silent.address)
	s.runs()
	run, events := s.until(over)
	if run.State() != "failed" || run.Finished.Reason != "no host is left" || run.Finished.Missing != 2 {
		t.Errorf("want it failed for want of hosts, found %s: %+v", run.State(), run.Finished)
	}
	if failures := ends(events, sshtournament.EndHost); len(failures) != 3 || !strings.Contains(failures[0].Reason, "want a greeting within") {
		t.Errorf("want three failures of the host, found %+v", failures)
	}
}

// listening is a port where something answers that is no SSH server.
func listening(t *testing.T, answer func(net.Conn)) host {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open []net.Conn // until the test ends, for one that is collected is closed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open = append(open, conn)
			answer(conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	port := listener.Addr().(*net.TCPAddr).Port
	return host{port, fmt.Sprintf("[127.0.0.1]:%d KEY", port), fmt.Sprintf("nobody@127.0.0.1:%d", port)}
}
