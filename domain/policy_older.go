package domain

import (
	"encoding/json"
	"maps"
	"slices"
)

// UnmarshalJSON reads a document as it was meant when it was written: a section,
// or a number of a section, that no rift knew then has its built-in value, not
// zero. What the document does say is taken whole.
func (e *PolicyChanged) UnmarshalJSON(data []byte) error {
	type plain PolicyChanged
	var read plain
	var said struct {
		Policy map[string]map[string]json.RawMessage `json:"policy"`
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return err
	}
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	built, err := json.Marshal(DefaultPolicy())
	if err != nil {
		return err
	}
	var whole map[string]map[string]json.RawMessage
	if err := json.Unmarshal(built, &whole); err != nil {
		return err
	}
	missing := false
	for _, section := range slices.Sorted(maps.Keys(whole)) {
		for _, number := range slices.Sorted(maps.Keys(whole[section])) {
			if value, there := said.Policy[section][number]; there {
				whole[section][number] = value
			} else {
				missing = true
			}
		}
	}
	if missing {
		filled, err := json.Marshal(whole)
		if err != nil {
			return err
		}
		read.Policy = Policy{}
		if err := json.Unmarshal(filled, &read.Policy); err != nil {
			return err
		}
	}
	*e = PolicyChanged(read)
	return nil
}
