// Package recorded turns what other clusters wrote down into events: logs of
// rift itself, two public traces of GPU clusters, and the text logs of the
// original orchestrator. It reads files of any length as streams, accounts for
// every line, and gives the same events for the same lines, whatever file they
// stand in, so that files that overlap say everything once (jsonl.Ordinals has
// the rule). Of a text log, lines become edges by what was known before them, from
// lines of the same import and from the log. So a younger stretch that was imported
// before an older one may have begun with an edge that is none beside the older, and
// left out one that is: a log cannot take back the first, which the report counts as
// repeated, and the younger imported again adds the second. An end of a training
// stays with the item that was the oldest held when it was imported. What events do not hold
// is known within one import only: the sources of one back-pressure, that a breaker
// was reported open once more, whom a node believed to lead, and that nothing was
// recorded between two files.
//
// It never guesses what a recording does not say: what is missing stays absent
// or is counted as skipped with the reason. It never decides anything; it only
// states what somebody else saw.
//
// Read import.go first (what an import is), then detect.go (what a file is),
// report.go (what is accounted for), merge.go (the order of several files), then
// ringrift.go with patterns.go, fold.go and knowledge.go as the largest importer.
package recorded
