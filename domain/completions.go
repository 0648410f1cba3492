package domain

import (
	"encoding/json"
	"maps"
	"slices"
)

// CompletionOf reads the result that a worker brought as the fact it stands
// for, as forgiving as the bridge: legacy keys are translated, foreign ones
// dropped. What the queue itself knows goes over what the worker says; two
// names of one model are a fault. The error names every fault.
func CompletionOf(eventType string, result json.RawMessage, known Payload) (Event, error) {
	at := slices.IndexFunc(completionDefs, func(d Def) bool { return d.Type == eventType })
	if at < 0 {
		return nil, Errorf(Internal, "no completion of a work item is a %s", eventType)
	}
	object, faults := Payload{}, []Fault(nil)
	if len(result) > 0 && string(result) != "null" {
		if object, faults = readObject(result); object == nil {
			return nil, Faulty("result", faults)
		}
	}
	if said, ok := take[string](object, "model_id"); ok && known.has("model_id") {
		if wanted, _ := take[string](known, "model_id"); wanted != said {
			return nil, Faulty("result", []Fault{{"model_id", "want " + wanted + ", the model the item was about, found " + clip(said, 128)}})
		}
	}
	for _, key := range completionKeys {
		if known.has(key) {
			for legacy, canonical := range completionDefs[at].Aliases { //purity:ok deletes whatever stands for a key that is set next
				if canonical == key {
					delete(object, legacy)
				}
			}
			object[key] = known[key]
		}
	}
	// Of keys that stand twice at the top, the last one counts; further down they
	// are a fault.
	var inside []Fault
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if repeats(object[key]) {
			for _, fault := range doubled(object[key]) {
				inside = append(inside, Fault{joinKeys(key, fault.Field), fault.Reason})
			}
		}
	}
	def := completionDefs[at]
	translated, err := def.translateObject(eventType, object, inside)
	return translated.Event, err
}

// completionKeys are what the queue knows of a completion.
var completionKeys = []string{"config_key", "task_id", "node_id", "model_id", "tournament_id"}

var completionDefs = slices.Concat(TrainingEvents(), TournamentEvents())

// Known makes the part of a completion that the queue knows; empty values are
// not known.
func Known(pairs ...string) Payload {
	known := Payload{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			known.put(pairs[i], pairs[i+1])
		}
	}
	return known
}
