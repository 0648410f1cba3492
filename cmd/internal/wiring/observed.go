package wiring

import (
	_ "embed" // of what the golden scripts showed
	"slices"
	"strings"
)

// observedText is what was seen while every golden script ran: which command led
// to which event, and which tables a reactor looked into. `make golden` writes
// it, and a test fails when a script shows something that it lacks.
//
//go:embed observed.txt
var observedText string

// Observed is what commands and reactors were seen to do.
type Observed struct {
	Emits map[string][]string // by event type: the commands that led to it
	Reads map[string][]string // by reactor: the tables it looked into
}

// Observations reads what was observed.
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

// Emitters says what leads to an event of a type: commands, tools through the
// bridge, the process itself; nothing when only recordings have it.
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

// processEvents are what a node notes of itself, without a command.
var processEvents = []string{"HANDLER_FAILED", "OUTBOX_SETTLED"}
