package domain

import "strings"

// The command ids that a node generates for itself have a form that callers cannot
// use: a caller that knew such an id in advance could otherwise make a reaction or
// a deadline look like a repetition. Commands of reactors have derived UUIDs
// (DeriveID, version 8); those of the clock and of the process have prefixes.
const (
	ClockCommands   = "clock/"
	SettledCommands = "settled/"
	FailureCommands = "handler_failed/"
	LeaderCommands  = "leader/" // commands issued when a node becomes the leader
	RelayCommands   = "relay/"
	MemberCommands  = "member/"
)

// NodeCommand reports whether only the node itself uses this command id.
func NodeCommand(id string) bool {
	for _, prefix := range []string{ClockCommands, SettledCommands, FailureCommands, LeaderCommands, RelayCommands, MemberCommands} {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	_, err := ParseEventID(id)
	return err == nil && id[14] == '8'
}

// NodeActor reports whether only the node itself acts under this name.
func NodeActor(name string) bool {
	return name == "clock" || name == "rift" || strings.HasPrefix(name, "reactor:")
}
