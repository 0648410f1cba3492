package training

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
)

// CompletionOf reads the result that a worker brought as the fact it stands
// for, as forgiving as the bridge: legacy keys are translated, foreign ones
// dropped. What the queue itself knows goes over what the worker says; two
// names of one model are a fault. The error names every fault.
func CompletionOf(eventType string, result json.RawMessage, known domain.Payload) (domain.Event, error) {
	at := slices.IndexFunc(completionDefs, func(d domain.Def) bool { return d.Type == eventType })
	if at < 0 {
		return nil, domain.Errorf(domain.Internal, "no completion of a work item is a %s", eventType)
	}
	object, faults := domain.Payload{}, []domain.Fault(nil)
	if len(result) > 0 && string(result) != "null" {
		if object, faults = domain.ReadObject(result); object == nil {
			return nil, domain.Faulty("result", faults)
		}
	}
	if said, ok := domain.Take[string](object, "model_id"); ok && known.Has("model_id") {
		if wanted, _ := domain.Take[string](known, "model_id"); wanted != said {
			return nil, domain.Faulty("result", []domain.Fault{{Field: "model_id", Reason: "want " + wanted + ", the model the item was about, found " + domain.Clip(said, 128)}})
		}
	}
	for _, key := range completionKeys {
		if known.Has(key) {
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
	var inside []domain.Fault
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if domain.Repeats(object[key]) {
			for _, fault := range domain.Doubled(object[key]) {
				inside = append(inside, domain.Fault{Field: domain.JoinKeys(key, fault.Field), Reason: fault.Reason})
			}
		}
	}
	def := completionDefs[at]
	translated, err := def.TranslateObject(eventType, object, inside)
	return translated.Event, err
}

// completionKeys are what the queue knows of a completion.
var completionKeys = []string{"config_key", "task_id", "node_id", "model_id", "tournament_id"}

var completionDefs = slices.Concat(Events(), tournament.Events())

// Known makes the part of a completion that the queue knows; empty values are
// not known.
func Known(pairs ...string) domain.Payload {
	known := domain.Payload{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			known.Put(pairs[i], pairs[i+1])
		}
	}
	return known
}
