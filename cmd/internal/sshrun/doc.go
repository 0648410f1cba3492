// Package sshrun plays tournaments over SSH: it follows the runs of
// domain/sshtournament, runs the match command of their shards on other machines,
// and records results line by line as they arrive. It decides nothing:
// commands/sshtournament decides whether a shard may start, what a result counts
// for and when a run is over, and after a restart this package continues from the
// log.
//
// A host whose key is not in the known hosts, or has changed, is refused. Nothing
// is copied to a host. Commands are passed to its shell with every word quoted.
//
// Read runner.go (the runs of a node), campaign.go (one run), dial.go (a host),
// command.go (one command).
package sshrun
