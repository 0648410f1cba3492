package wiring

import (
	_ "embed" // for observed.txt
	"slices"
	"strings"
)

// observedText lists what happened while every golden script ran: which command
// caused which event, and which tables a reactor read. `make golden` writes it, and
// a test fails when a script does something that is missing from it.
//
//go:embed observed.txt
var observedText string

// Observed is what commands and reactors did in the golden scripts.
type Observed struct {
	Emits map[string][]string // by event type: the commands that caused it
	Reads map[string][]string // by reactor: the tables it read
}

// Observations parses the recorded observations.
func Observations() Observed {
	o := Observed{Emits: map[string][]string{}, Reads: map[string][]string{}}
	for line := range strings.Lines(observedText) {
		words := strings.Fields(line)
		if len(words) < 3 {
			continue
		}
		switch words[0] {
		case "emits":
			o.Emits[words[1]] = words[2:]
		case "reads":
			o.Reads[words[1]] = words[2:]
		}
	}
	return o
}

// Emitters returns what causes events of a type: commands, tools through the
// bridge, the process itself; nothing if it only occurs in recordings.
func (o Observed) Emitters(eventType string, external bool) []string {
	emitters := slices.Clone(o.Emits[eventType])
	if external {
		emitters = append(emitters, "POST /events")
	}
	if slices.Contains(processEvents, eventType) {
		emitters = append(emitters, "the node itself")
	}
	return emitters
}

// processEvents lists the events that a node records itself, without a command.
var processEvents = []string{"HANDLER_FAILED", "OUTBOX_SETTLED"}
