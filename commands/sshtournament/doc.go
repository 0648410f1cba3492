// Package sshtournament decides about tournaments over SSH: starting and cancelling
// a run, leasing its shards to a coordinator, recording the results that hosts
// send, and the end.
//
// It opens no connection: cmd/internal/sshrun does, and issues Begin, Take and End.
// Every game becomes a match fact of the elo area.
//
// Read run.go (commands of users), then shard.go (commands of a coordinator).
package sshtournament
