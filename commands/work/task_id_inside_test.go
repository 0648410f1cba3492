package work

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
)

func TestNewTaskID(t *testing.T) {
	for _, c := range []struct{ command, want string }{
		{"0193f3a4-b5c6-7d2e-8f10-111213141516", "t-1ifpq9de6-"},
		{"0193f3a4-b5c6-7d2e-8f10-111213141516\x0041", "t-1ifpq9de6-"},
		{"0193f3a4-b5c6-4d2e-8f10-111213141516", "t-"}, // version 4 has no time
		{"monday's batch", "t-"},
		{"", "t-"},
	} {
		got := string(newTaskID(c.command))
		if len(got) < 15 || got[:len(c.want)] != c.want || got != string(newTaskID(c.command)) || domain.CheckName(got) != nil {
			t.Errorf("newTaskID(%q) = %q, want a name that begins with %q, always the same", c.command, got, c.want)
		}
	}
}

// Names sort as the times of their commands, and commands of one moment have
// different names.
func TestTaskIDsSortByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := func(millis uint64, rest uint16) domain.TaskID {
			return newTaskID(fmt.Sprintf("%08x-%04x-7000-8000-%012x", millis>>16, millis&0xffff, rest))
		}
		millis := rapid.Uint64Range(0, 1<<45-2)
		a, b := millis.Draw(t, "a"), millis.Draw(t, "b")
		if one, other := at(a, 0), at(b, 0); (a < b) != (one < other) {
			t.Fatalf("%d is %s and %d is %s", a, one, b, other)
		}
		if at(a, 1) == at(a, 2) {
			t.Fatalf("two commands of one moment give %s", at(a, 1))
		}
	})
}
