// Package sshrun plays tournaments over SSH: it follows the runs of
// domain/sshtournament, runs the match command of their shards on other machines, and
// records results line by line as they come. It decides nothing: whether a shard may
// begin, what a result counts for and when a run is over is said by
// commands/sshtournament, and after a restart it goes on from what the log has.
//
// A host whose key is not in the known hosts is refused, one whose key changed too.
// Nothing is copied to a host. Commands are told to its shell word by word, quoted.
//
// Read runner.go (which runs there are), campaign.go (one run), dial.go (a host),
// command.go (one command).
package sshrun
