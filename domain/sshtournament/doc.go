// Package sshtournament is what happens in a tournament whose games are played by a
// command on other machines, reached over SSH: the events of a run, the state they
// fold into, and how it is cut into shards.
//
// It opens no connection and runs nothing; cmd/internal/sshrun does. Shards are leased
// by events, so that a coordinator that starts again goes on with what is missing.
//
// Read events.go (what happens), state.go (the state), host.go (how a host is written).
package sshtournament
