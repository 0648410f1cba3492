// Package recorded turns what other clusters wrote down into events: logs of
// rift itself, two public traces of GPU clusters, and the text logs of the
// original orchestrator. It reads files of any length as streams, names every
// line it could not use, and gives the same events for the same lines, so that
// importing twice appends nothing.
//
// It never guesses what a recording does not say: what is missing stays absent
// or is counted as skipped with the reason. It never decides anything; it only
// states what somebody else saw.
//
// Read import.go first (what an importer is), then report.go (what it accounts
// for), then ringrift.go with patterns.go and fold.go as the largest importer.
package recorded
