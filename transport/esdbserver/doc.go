// Package esdbserver serves a log by EventStoreDB's gRPC protocol, so that
// the clients of that database, in every language, read, write and follow it.
//
// The log stays the only state. Streams, metadata, deletions and persistent
// subscriptions are events on it; the streams that EventStoreDB's projections
// write ($ce-, $et-, $streams) are indexes over it that copy nothing. The
// package stores nothing of its own, never answers before the log has
// acknowledged, and never interprets an event of rift.
//
// What rests where:
//
//   - A stream's name that the log accepts is the stream's id. Every other one
//     is "esdb-" and the name with percent signs for what the log refuses, so
//     that two names never make one stream (names.go).
//   - An event's position is both its commit and its prepare position.
//   - Type, data and user metadata are kept byte by byte. Data that are no JSON
//     stand in the log as a JSON string of base64 (codec.go).
//   - Metadata of stream s are events of stream $$s; a deletion is one of them.
//     A tombstone is an event of the stream, and the log's own tombstone
//     (eventlog.StreamMeta) beside it.
//
// A server is insecure, and then serves everybody everything, or has accounts, and
// then callers have the rights that access lists give them: a stream's own ($acl), the
// node's ($settings), or those that EventStoreDB begins with (access.go). What an
// access list says is asked once for each call, when it begins.
//
// Where several nodes share the log (Config.Leadership), the one that leads takes appends
// and deletions, which the others send on to it (forward.go), and runs the persistent
// subscriptions, which are in the log for the next one (persistent_lead.go).
//
// Read server.go (the parts), append.go (which append is written, repeated or
// refused), read.go and subscribe.go.
package esdbserver
