//go:build unix

package sshrun

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	sshcmd "github.com/ringrift/rift/commands/sshtournament"
	"github.com/ringrift/rift/domain/sshtournament"
)

// Two hosts play a run, each game once.
func TestHostsPlayARun(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one, other := startSSHD(t, s.folder, s.client), startSSHD(t, s.folder, s.client)
	s.knows(one.known, other.known)
	s.starts("well", 12, one.address, other.address)
	s.runs()
	run, events := s.until(over)
	every(t, run, events, 12)
	for game, times := range s.asked() {
		if times != 1 {
			t.Errorf("%s: want it asked for once, found %d times", game, times)
		}
	}
	if first := run.Finished.Standings[0]; first.Points != 6 || first.Games != 12 {
		t.Errorf("want 6 of 12 points each, for the first seat wins, found %+v", first)
	}
}

// A command that crashes, prints garbage or too much, or is not a match command
// fails its shard there; its earlier results count, and another host plays the
// rest.
func TestACommandThatFailsIsTriedElsewhere(t *testing.T) {
	t.Parallel()
	for manner, reason := range map[string]string{
		"die":     "exit code 3: out of [31m memory",
		"rubbish": "want a JSON object",
		"draw":    "want result.ranks of a game, or games, found neither",
		"flood":   "found a longer one",
	} {
		t.Run(manner, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			one, other := startSSHD(t, s.folder, s.client), startSSHD(t, s.folder, s.client)
			s.knows(one.known, other.known)
			s.starts(manner, 2, one.address, other.address)
			s.runs()
			run, events := s.until(over)
			every(t, run, events, 2)
			failed, done := ends(events, sshtournament.EndFailed), ends(events, sshtournament.EndDone)
			if len(failed) != 1 || !strings.Contains(failed[0].Reason, reason) {
				t.Fatalf("want one failure because of %q, found %+v", reason, failed)
			}
			if len(done) != 1 || done[0].Host == failed[0].Host {
				t.Errorf("want it done on another host than %s, found %+v", failed[0].Host, done)
			}
			if asked := s.asked(); asked["r:1.1"] != 1 || asked["r:1.2"] < 1 {
				t.Errorf("want the game that was told asked for once, found %v", asked)
			}
		})
	}
}

// A command that hangs is ended when its time is over, and tried again.
func TestACommandThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	retries := 20
	s.do(sshcmd.RunTournament{
		RunID: "r", Hosts: []string{one.address}, Participants: []string{"a", "b"}, GamesPerMatchup: 2, Retries: &retries, ShardSeconds: 2,
		Command: []string{self, "remote", "hang", s.folder},
	})
	s.runs()
	run, events := s.until(over)
	every(t, run, events, 2)
	failed := ends(events, sshtournament.EndFailed)
	if len(failed) == 0 || failed[0].Reason != "it ran over its time of 2s" {
		t.Errorf("want it failed for its time, found %+v", failed)
	}
	s.gone()
}

// A server's shell passes every word to the command unchanged.
func TestAServerReadsWordsAsTheyAre(t *testing.T) {
	s := newStage(t)
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	keys, err := newHostKeys(s.config.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	host, err := sshtournament.ParseHost(one.address)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"it's", "$(touch " + filepath.Join(s.folder, "made") + ")", "`id`", "; exit 7", "a  b", "\\", "*", "~", "-n", "!!", "é"}
	var read []string
	err = s.config.filled().play(t.Context(), keys, host, append([]string{"printf", "<%s>\\n"}, words...), nil, func(line []byte) error {
		read = append(read, strings.TrimSuffix(strings.TrimPrefix(string(line), "<"), ">"))
		return nil
	})
	if err != nil || !slices.Equal(read, words) {
		t.Errorf("want %q, found %q, %v", words, read, err)
	}
	if _, err := os.Stat(filepath.Join(s.folder, "made")); err == nil {
		t.Error("want no word run as a command")
	}
}

// FuzzLines checks for lines within their limits, or an error.
func FuzzLines(f *testing.F) {
	f.Add([]byte("12\n{\"games\":[]}\n\n"))
	f.Add([]byte("\r\n\x00\xff"))
	f.Fuzz(func(t *testing.T, output []byte) {
		_ = readLines(bytes.NewReader(output), func(line []byte) error {
			if len(line) == 0 || len(line) > maxLine || bytes.ContainsRune(line, '\n') {
				t.Fatalf("found a line of %d bytes", len(line))
			}
			return nil
		})
	})
}

// gone waits until the commands that hung have ended.
func (s *stage) gone() {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, "pids"))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			s.t.Fatal(err)
		}
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-s.t.Context().Done():
				s.t.Fatalf("want process %d ended", pid)
			}
		}
	}
}

// zombie reports whether a process has exited and was not reaped yet.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ")
	return err == nil && strings.HasPrefix(after, "Z")
}

// A run that is cancelled ends its commands on the hosts.
func TestCancellingEndsCommands(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	s.starts("hang", 4, one.address)
	s.runs()
	s.until(func(run sshtournament.Run) bool { return run.Games == 2 }) // the first of both shards
	s.do(sshcmd.Cancel{RunID: "r", Reason: "enough seen"})
	s.gone()
	if run, _ := s.until(over); run.State() != "cancelled" || run.Games != 2 {
		t.Errorf("want it cancelled with 2 games, found %s with %d", run.State(), run.Games)
	}
}
