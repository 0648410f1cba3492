// Package recorded turns what other clusters wrote down into events: logs of
// rift itself, two public traces of GPU clusters, and the text logs of the
// original orchestrator. It reads files of any length as streams, accounts for
// every line, and gives the same events for the same lines, whatever file they
// stand in, so that files that overlap say everything once (jsonl.Ordinals has
// the rule). Of a text log, lines become edges by what was seen before them: an
// older stretch that is imported after a younger one may begin with an edge that
// both together would not have.
//
// It never guesses what a recording does not say: what is missing stays absent
// or is counted as skipped with the reason. It never decides anything; it only
// states what somebody else saw.
//
// Read import.go first (what an import is), then detect.go (what a file is),
// report.go (what is accounted for), merge.go (the order of several files), then
// ringrift.go with patterns.go, fold.go and knowledge.go as the largest importer.
package recorded
