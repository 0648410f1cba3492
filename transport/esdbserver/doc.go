// Package esdbserver serves a log by EventStoreDB's gRPC protocol, so that clients of that
// database in any language can read, write and follow it.
//
// The log is the only state. Streams, metadata, deletions and persistent subscriptions are
// events in it. The streams that EventStoreDB's projections write ($ce-, $et-, $streams)
// are indexes over it, in memory. The package never answers before the log has
// acknowledged, and never interprets an event of rift.
//
// How things are stored:
//
//   - A stream's name that the log accepts is the stream's id. Any other id is "esdb-" and
//     the name with percent encoding, so that different names have different ids
//     (package foreign).
//   - An event's position is both its commit and its prepare position.
//   - Type, data and user metadata are kept byte by byte. Data other than JSON are stored
//     as a JSON string in base64 (package foreign).
//   - Metadata of stream s are events of stream $$s; a deletion is one of them. A tombstone
//     is an event of the stream together with the log's own tombstone
//     (eventlog.StreamMeta).
//
// An insecure server allows every caller everything. Any other has accounts, and callers
// have the rights of access lists: the stream's own ($acl), the node's ($settings), or
// EventStoreDB's defaults (access.go). Rights are checked once, when a call begins.
//
// If several nodes share the log (Config.Leadership), the leader handles appends and
// deletions, which other nodes forward to it (forward.go), and runs the persistent
// subscriptions (persistent_lead.go).
//
// Read server.go (the parts), append.go (which append is written, repeated or refused),
// read.go and subscribe.go.
package esdbserver
