// Package sshtournament is a tournament whose games a command plays on other
// machines, reached over SSH: the events of a run, the state they fold into, and
// its division into shards.
//
// It opens no connection and runs nothing; cmd/internal/sshrun does. Shards are
// leased by events, so that a restarted coordinator continues with the missing
// ones.
//
// Read events.go (the events), state.go (the state), host.go (the notation of
// hosts).
package sshtournament
