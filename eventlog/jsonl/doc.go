// Package jsonl keeps logs as text: one event per line, in the shape of
// GET /events. It reads and writes files of any length in constant memory, and
// moves events between such files and a log.
//
// It never looks inside a payload beyond checking that it is JSON, never
// decides what an event means, and never changes an event on its way: what is
// exported and imported again is the same event with the same id and the same
// payload bytes.
//
// Read line.go first (what a line is), then read.go and write.go (streams of
// lines), then transfer.go (into and out of a log).
package jsonl
