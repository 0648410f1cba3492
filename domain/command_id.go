package domain

import "strings"

// The ids of commands that a node gives itself live apart from those that callers
// give: a caller that knew an id in advance could have a reaction, or a deadline,
// taken for a repetition. Commands of reactors have derived UUIDs (DeriveID,
// version 8), those of the clock and what the process notes have prefixes.
const (
	ClockCommands   = "clock/"
	SettledCommands = "settled/"
	FailureCommands = "handler_failed/"
	LeaderCommands  = "leader/" // what a node appends when it comes to lead
	RelayCommands   = "relay/"
	MemberCommands  = "member/"
)

// NodeCommand tells the ids that only the node itself gives to commands.
func NodeCommand(id string) bool {
	for _, prefix := range []string{ClockCommands, SettledCommands, FailureCommands, LeaderCommands, RelayCommands, MemberCommands} {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	_, err := ParseEventID(id)
	return err == nil && id[14] == '8'
}

// NodeActor tells the names that only the node itself acts under.
func NodeActor(name string) bool {
	return name == "clock" || name == "rift" || strings.HasPrefix(name, "reactor:")
}
