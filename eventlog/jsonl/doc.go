// Package jsonl stores logs as text: one event per line, in the form of GET /events. It
// reads and writes files of any length in constant memory, and copies events between such
// files and a log.
//
// It does not interpret payloads, except that it checks that they are JSON, and it does
// not change events: an event that is exported and imported again has the same id and the
// same payload bytes.
//
// Read line.go first (what a line is), then read.go and write.go (streams of lines), then
// transfer.go (into and out of a log).
package jsonl
