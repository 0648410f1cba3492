package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Setting is one setting of a policy document: its dotted key
// ("work.lease_seconds") and its JSON.
type Setting struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// PolicyDifference is a setting that differs between two versions of a document. A
// value that a version does not have is absent.
type PolicyDifference struct {
	Key    string          `json:"key"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Sections is the ordered list of a policy document's sections, each with its
// default values.
type Sections []Section

// Default returns the document with all defaults.
func (s Sections) Default() Policy { return Policy{sections: s} }

// Read decodes a whole document. A missing setting, as in a document from before it
// existed, has its default; a list or map in the document replaces the default.
// Unknown keys are ignored.
func (s Sections) Read(p Policy) (Policy, error) {
	if p.raw == nil && len(p.sections) == len(s) {
		return p, nil
	}
	encoded, err := json.Marshal(p)
	if err != nil {
		return Policy{}, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &members); err != nil {
		return Policy{}, err
	}
	read := Policy{sections: make([]Section, len(s))}
	for i, section := range s {
		if read.sections[i], err = sectionIn(members, section.Default(), false); err != nil {
			return Policy{}, err
		}
	}
	return read, nil
}

// Faults returns a fault for every unusable setting of a document, and for every
// section that cannot be decoded.
func (s Sections) Faults(p Policy) (faults []Fault) {
	if p.raw == nil {
		return p.Faults()
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(p.raw, &members); err != nil {
		return []Fault{{"policy", err.Error()}}
	}
	for _, section := range s {
		read, err := sectionIn(members, section.Default(), false)
		if err != nil {
			faults = append(faults, Fault{"policy." + section.SectionName(), err.Error()})
			continue
		}
		for _, fault := range sectionFaults(read) {
			faults = append(faults, Fault{"policy." + fault.Field, fault.Reason})
		}
	}
	return faults
}

// Settings lists the settings of a document section by section. A list is one
// setting; a map is one setting per key, sorted.
func (s Sections) Settings(p Policy) ([]Setting, error) {
	_, encoded, err := s.whole(p)
	if err != nil {
		return nil, Errorf(Internal, "policy: %w", err)
	}
	return settingsIn(encoded)
}

// whole reads a document, and writes it with every setting.
func (s Sections) whole(p Policy) (whole Policy, encoded []byte, err error) {
	if whole, err = s.Read(p); err != nil {
		return whole, nil, err
	}
	encoded, err = json.Marshal(whole)
	return whole, encoded, err
}

func settingsIn(encoded []byte) (settings []Setting, err error) {
	err = eachLeaf(encoded, "", func(key string, value json.RawMessage) error {
		settings = append(settings, Setting{key, value})
		return nil
	})
	return settings, err
}

// Differences lists the settings that differ in another document.
func (s Sections) Differences(p, other Policy) ([]PolicyDifference, error) {
	was, err := s.Settings(p)
	if err != nil {
		return nil, err
	}
	is, err := s.Settings(other)
	if err != nil {
		return nil, err
	}
	before := make(map[string]json.RawMessage, len(was))
	for _, setting := range was {
		before[setting.Key] = setting.Value
	}
	differences := []PolicyDifference{}
	for _, setting := range is {
		if !bytes.Equal(before[setting.Key], setting.Value) {
			differences = append(differences, PolicyDifference{setting.Key, before[setting.Key], setting.Value})
		}
		delete(before, setting.Key)
	}
	for _, setting := range was {
		if _, gone := before[setting.Key]; gone {
			differences = append(differences, PolicyDifference{Key: setting.Key, Before: setting.Value})
		}
	}
	return differences, nil
}

// Change returns the document with changed settings. change is a JSON merge patch
// (RFC 7396): objects are merged key by key, anything else replaces the old value,
// and null resets a setting to its default or removes an entry from a map. All
// faults are returned: unknown keys, with the nearest known one, values of a wrong
// type, and unusable settings.
func (s Sections) Change(p Policy, change json.RawMessage) (Policy, []Fault) {
	after, encoded, err := s.whole(p)
	if err != nil {
		return Policy{}, []Fault{{"policy", err.Error()}}
	}
	known, err := settingsIn(encoded)
	if err != nil {
		return Policy{}, []Fault{{"policy", err.Error()}}
	}
	before, err := jsonObject(encoded)
	if err != nil {
		return Policy{}, []Fault{{"policy", err.Error()}}
	}
	patch, err := jsonObject(change)
	if err != nil {
		return Policy{}, []Fault{{"policy", "want an object of what to change: " + err.Error()}}
	}
	leaves := patchLeaves(patch, nil, nil)
	if len(leaves) > maxPolicyChanges {
		return Policy{}, []Fault{{"policy", fmt.Sprintf("want at most %d numbers in one change, found more", maxPolicyChanges)}}
	}
	names := make([]string, len(known))
	for i, setting := range known {
		names[i] = setting.Key
	}
	// Apply one setting at a time, so that each has its own fault and the valid
	// ones are checked even if others are not.
	var faults []Fault
	for _, one := range leaves {
		with := mergePatch(before, one.patch())
		next, err := s.patched(after, with, one.path[0])
		if reason := one.Fault(err, names); reason != "" {
			faults = append(faults, Fault{one.key(), reason})
			continue
		}
		before, after = with, next
	}
	return after, append(faults, after.Faults()...)
}

// maxPolicyChanges limits the settings of one change.
const maxPolicyChanges = 1024

// patched returns a document in which one section is as in a tree of settings.
func (s Sections) patched(p Policy, tree map[string]any, name string) (Policy, error) {
	value, named := tree[name]
	at := slices.IndexFunc(s, func(section Section) bool { return section.SectionName() == name })
	switch {
	case at < 0 && named:
		return Policy{}, fmt.Errorf("unknown field %q", name)
	case at < 0:
		return p, nil // an unknown section was set to null
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return Policy{}, err
	}
	section, err := sectionIn(map[string]json.RawMessage{name: encoded}, s[at].Default(), true)
	return p.With(section), err
}

// patchLeaf is one value of a change, and its key.
type patchLeaf struct {
	path  []string
	value any
}

func (l patchLeaf) key() string { return strings.Join(l.path, ".") }

func (l patchLeaf) patch() map[string]any {
	value := l.value
	for i := len(l.path) - 1; i >= 0; i-- {
		value = map[string]any{l.path[i]: value}
	}
	patch, _ := value.(map[string]any)
	return patch
}

// Fault returns why a value cannot be applied to a document, empty if it can.
func (l patchLeaf) Fault(err error, names []string) string {
	key := l.key()
	for _, name := range names {
		if strings.EqualFold(name, key) && name != key {
			return "no such number; did you mean " + name + "?" // decoding would accept it
		}
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &wrong):
		return typeFault(err).Reason
	case !strings.Contains(err.Error(), "unknown field"):
		return err.Error()
	}
	if near := nearestKey(key, names); near != "" {
		return "no such number; did you mean " + near + "?"
	}
	return "no such number"
}

// patchLeaves lists the values of a change by key, at most one more than the limit.
func patchLeaves(patch map[string]any, path []string, found []patchLeaf) []patchLeaf {
	for _, key := range slices.Sorted(maps.Keys(patch)) {
		at := append(path[:len(path):len(path)], key)
		if inner, ok := patch[key].(map[string]any); ok && len(inner) > 0 && len(at) < maxPolicyDepth {
			found = patchLeaves(inner, at, found)
		} else {
			found = append(found, patchLeaf{at, patch[key]})
		}
		if len(found) > maxPolicyChanges {
			break
		}
	}
	return found
}

// mergePatch returns tree with a change applied; tree itself is unchanged.
func mergePatch(tree, patch map[string]any) map[string]any {
	merged := maps.Clone(tree)
	if merged == nil {
		merged = map[string]any{}
	}
	for _, key := range slices.Sorted(maps.Keys(patch)) {
		switch value := patch[key].(type) {
		case nil:
			delete(merged, key)
		case map[string]any:
			inner, _ := merged[key].(map[string]any)
			merged[key] = mergePatch(inner, value)
		default:
			merged[key] = value
		}
	}
	return merged
}

// jsonObject decodes exactly one JSON object, and keeps numbers as written.
func jsonObject(text []byte) (map[string]any, error) {
	if !json.Valid(text) {
		return nil, Errorf(Invalid, "want JSON, found %s", Clip(string(text), 64))
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil || value == nil {
		return nil, Errorf(Invalid, "want an object, found %s", Clip(string(text), 64))
	}
	return value, nil
}

// nearestKey returns the key that was probably meant: one with the same last word
// in another section, or the one with the most similar spelling.
func nearestKey(key string, names []string) string {
	last := key[strings.LastIndexByte(key, '.')+1:]
	for _, name := range names {
		if strings.HasSuffix(name, "."+last) {
			return name
		}
	}
	return Nearest(key, names)
}

// eachLeaf calls f for every value of a JSON object that is not an object itself,
// with its dotted key, in order.
func eachLeaf(object []byte, prefix string, f func(key string, value json.RawMessage) error) error {
	if strings.Count(prefix, ".") > maxPolicyDepth {
		return Errorf(Invalid, "want at most %d objects inside each other", maxPolicyDepth)
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return Errorf(Invalid, "want a JSON object, found %s", Clip(string(object), 64))
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return Errorf(Invalid, "%w", err)
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return Errorf(Invalid, "%w", err)
		}
		value = bytes.TrimSpace(value)
		if value[0] == '{' && string(value) != "{}" {
			err = eachLeaf(value, prefix+name+".", f)
		} else {
			err = f(prefix+name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// About returns the description of a setting, given by its dotted key, from the doc
// tags of the sections; empty for an unknown key. Entries of a map have the text of
// their field, or that of the map.
func (s Sections) About(key string) string {
	name, rest, inside := strings.Cut(key, ".")
	at := slices.IndexFunc(s, func(section Section) bool { return section.SectionName() == name })
	switch {
	case at < 0:
		return ""
	case !inside:
		return s[at].About()
	}
	return aboutField(s[at], strings.Split(rest, "."))
}

// maxPolicyDepth limits the nesting of a document.
const maxPolicyDepth = 16

// Nearest returns the name that was probably meant, or "".
func Nearest(text string, names []string) string {
	best, bestDistance := "", max(2, len(text)/3)+1
	for _, name := range names {
		if d := letterDistance(text, name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// letterDistance returns the number of letters to insert, delete or replace.
func letterDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
