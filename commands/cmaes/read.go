package cmaes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
)

// boundsOf parses [low, high], or a list of such pairs or of {"low","high"}; null
// means unbounded.
func boundsOf(text json.RawMessage) ([]cmaes.Bound, []domain.Fault) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	wrong := []domain.Fault{{Field: "bounds", Reason: fmt.Sprintf("want [low, high] for all variables, or a list with one for each, found %s", domain.Clip(string(text), 64))}}
	var all []*float64
	if json.Unmarshal(text, &all) == nil {
		if len(all) != 2 {
			return nil, wrong
		}
		return []cmaes.Bound{{Low: all[0], High: all[1]}}, nil
	}
	var each []json.RawMessage
	if json.Unmarshal(text, &each) != nil {
		return nil, wrong
	}
	bounds := make([]cmaes.Bound, len(each))
	for i, one := range each {
		var pair []*float64
		switch {
		case json.Unmarshal(one, &pair) == nil && len(pair) == 2:
			bounds[i] = cmaes.Bound{Low: pair[0], High: pair[1]}
		case string(one) == "null":
		case strict(one, &bounds[i]) == nil:
		default:
			return nil, []domain.Fault{{Field: fmt.Sprintf("bounds[%d]", i), Reason: fmt.Sprintf("want [low, high], found %s", domain.Clip(string(one), 64))}}
		}
	}
	return bounds, nil
}

// objectiveOf parses an objective; the policy supplies missing fields. A string is
// the payload that the worker command receives with every candidate.
func objectiveOf(text json.RawMessage, policy cmaesrun.Policy) (cmaesrun.Objective, []domain.Fault) {
	var o cmaesrun.Objective
	switch {
	case len(text) == 0 || string(text) == "null":
		return o, []domain.Fault{{Field: "objective", Reason: `required: {"command": …} for a command, {"player": "…{x}…", "baselines": […]} for games`}}
	case text[0] == '"':
		o.Command = text
	default:
		if faults := readObjective(text, &o); len(faults) > 0 {
			return o, faults
		}
	}
	if o.Kind == "" {
		o.Kind = cmaesrun.CommandKind
		if o.Player != "" || len(o.Baselines) > 0 {
			o.Kind = cmaesrun.GauntletKind
		}
	}
	if o.Kind == cmaesrun.GauntletKind && o.Games == 0 {
		o.Games = policy.Games
	}
	o.TaskType = commands.Or(o.TaskType, policy.TaskType)
	return o, nil
}

// readObjective decodes an objective, with a fault for every unknown key and every
// value of a wrong type.
func readObjective(text json.RawMessage, o *cmaesrun.Objective) (faults []domain.Fault) {
	object, faults := domain.ReadObject(text)
	switch {
	case object == nil:
		return []domain.Fault{{Field: "objective", Reason: "want an object, or the text that the command gets"}}
	case len(faults) > 0:
		for i := range faults {
			faults[i].Field = "objective." + faults[i].Field
		}
		return faults
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		one, err := json.Marshal(map[string]json.RawMessage{key: object[key]})
		if err == nil {
			err = strict(one, o)
		}
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.As(err, &wrong):
			faults = append(faults, domain.Fault{Field: "objective." + key, Reason: fmt.Sprintf("want another type than %s", wrong.Value)})
		case err != nil:
			faults = append(faults, domain.Fault{Field: "objective." + key, Reason: "an objective has no such key: it has kind, task_type, command, variables, player, baselines, games, requires, timeout_seconds, max_attempts and priority"})
		}
	}
	return faults
}

func strict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
