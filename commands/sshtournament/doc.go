// Package sshtournament is the decisions about tournaments over SSH: beginning and
// cancelling a run, leasing its shards to a coordinator, taking the results that hosts
// tell, and the end.
//
// It opens no connection: cmd/internal/sshrun does, and issues Begin, Take and End.
// Every game becomes a match fact of the area elo.
//
// Read run.go (what people ask), then shard.go (what a coordinator says).
package sshtournament
