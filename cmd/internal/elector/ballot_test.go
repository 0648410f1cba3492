package elector

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
)

func openVoter(t *testing.T, fs vfs.FS) *Voter {
	t.Helper()
	v, err := OpenVoter(VoterConfig{Node: "a", Electorate: election.Electorate{Lease: time.Second}, FS: fs, Since: func() time.Duration { return time.Hour }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every vote that was answered survives a crash that loses what was not synced.
func TestVotesSurviveCrashes(t *testing.T) {
	disk := vfs.NewCrashableMem()
	for term := uint64(1); term < 20; term++ {
		v := openVoter(t, disk)
		if answer, err := v.Vote(t.Context(), election.Candidacy{Candidate: "b", Term: term}, false); err != nil || !answer.Granted {
			t.Fatalf("term %d: found %+v, %v", term, answer, err)
		}
		disk = disk.CrashClone(vfs.CrashCloneCfg{})
		again := openVoter(t, disk)
		if found := again.Ballot(); found.Term != term || found.VotedFor != "b" || found.Holder(time.Hour) != "b" {
			t.Fatalf("want the vote of term %d after a crash, found %+v", term, found)
		}
	}
}

// A vote that cannot be saved is not granted.
func TestNoVoteWithoutADisk(t *testing.T) {
	for _, op := range []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFileSync, errorfs.OpRename} {
		broken := errorfs.InjectorFunc(func(o errorfs.Op) error {
			if o.Kind == op {
				return errors.New("no space left on device")
			}
			return nil
		})
		v := openVoter(t, errorfs.Wrap(vfs.NewMem(), broken))
		if _, err := v.Vote(t.Context(), election.Candidacy{Candidate: "b", Term: 1}, false); domain.CodeOf(err) != domain.Unavailable || v.Ballot().Term != 0 {
			t.Errorf("%v: want unavailable and no vote, found %v, %+v", op, err, v.Ballot())
		}
		if _, err := v.Heartbeat(t.Context(), election.Heartbeat{Leader: "b", Term: 1, Lease: time.Second}); domain.CodeOf(err) != domain.Unavailable || v.Ballot().Term != 0 {
			t.Errorf("%v: want unavailable and no promise, found %v, %+v", op, err, v.Ballot())
		}
	}
}

func TestADamagedBallotIsRefused(t *testing.T) {
	good, err := json.Marshal(onDisk{election.Saved{Term: 7, VotedFor: "b", LeaseSeconds: 1}, sumOf(election.Saved{Term: 7, VotedFor: "b", LeaseSeconds: 1})})
	if err != nil {
		t.Fatal(err)
	}
	if saved, err := readBallot(good); err != nil || saved.Term != 7 {
		t.Fatalf("found %+v, %v", saved, err)
	}
	for _, bad := range []string{"", "{}", strings.Replace(string(good), "7", "6", 1), strings.Replace(string(good), `"b"`, `"c"`, 1), string(good[:len(good)-2])} {
		if _, err := readBallot([]byte(bad)); domain.CodeOf(err) != domain.Corrupt {
			t.Errorf("%s: want it corrupt, found %v", bad, err)
		}
	}
}

func FuzzReadBallot(f *testing.F) {
	f.Add([]byte(`{"term":7,"voted_for":"b","lease_seconds":1,"sum":"0"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		saved, err := readBallot(content)
		if err != nil {
			return
		}
		if b, err := saved.Restore(0); err == nil && b.Save() != saved && b.Term > 0 {
			// Durations are saved to the microsecond.
			if d := float64(b.Save().LeaseSeconds - saved.LeaseSeconds); d > 1e-6 || d < -1e-6 {
				t.Errorf("want %+v kept, found %+v", saved, b.Save())
			}
		}
	})
}
