package training

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
)

// CompletionOf decodes the result of a worker as an event, as leniently as the
// event bridge: legacy keys are translated, unknown ones dropped. What the queue
// knows takes precedence over what the worker sent, but two names of one model are
// a fault. The error lists every fault.
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
	// Of duplicate keys at the top level the last one counts; further down they are
	// a fault.
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

// completionKeys lists what the queue knows about a completion.
var completionKeys = []string{"config_key", "task_id", "node_id", "model_id", "tournament_id"}

var completionDefs = slices.Concat(Events(), tournament.Events())

// Known returns the part of a completion that the queue knows, without empty
// values.
func Known(pairs ...string) domain.Payload {
	known := domain.Payload{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			known.Put(pairs[i], pairs[i+1])
		}
	}
	return known
}
