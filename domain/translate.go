package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Translated is a payload from outside in canonical form.
type Translated struct {
	Event      Event
	Translated []string // what was renamed, reshaped or dropped: "job_id → task_id"
}

// Translate decodes a payload from outside: the name may be a legacy name, keys may
// be legacy aliases, and null is the same as absent. Keys that the type does not
// have are dropped and listed. All faults are returned at once.
func (c *Catalog) Translate(name string, payload []byte) (Translated, error) {
	eventType, ok := c.Resolve(name)
	if !ok {
		return Translated{}, unknownType(name)
	}
	return c.defs[eventType].translate(name, payload)
}

// translate is Translate for a known type.
func (d *Def) translate(name string, payload []byte) (Translated, error) {
	object, faults := ReadObject(payload)
	if object == nil {
		return Translated{}, Faulty(d.Type, faults)
	}
	return d.TranslateObject(name, object, faults)
}

// TranslateObject is Translate for a parsed payload, which it modifies.
func (d *Def) TranslateObject(name string, object Payload, faults []Fault) (Translated, error) {
	def, eventType := d, d.Type
	var out Translated
	if name != eventType {
		out.Translated = append(out.Translated, name+" → "+eventType)
	}
	for _, reshape := range def.reshapes {
		out.Translated = append(out.Translated, reshape(object)...)
	}
	renamed, contradictions := def.rename(object)
	out.Translated = append(out.Translated, renamed...)
	faults = append(faults, contradictions...)
	out.Translated = append(out.Translated, def.drop(object)...)
	faults = append(faults, def.missing(object)...)
	event, err := def.read(object)
	if err != nil { // some keys cannot be decoded: name each
		mistyped := def.mistyped(object)
		faults = append(faults, mistyped...)
		for _, fault := range mistyped { // still check the rest
			delete(object, topKey(fault.Field))
		}
		if event, err = def.read(object); err != nil {
			return Translated{}, Faulty(eventType, append(faults, typeFault(err)))
		}
	}
	before := len(faults) // missing and mistyped keys are zero now, so their ranges say nothing
	for _, fault := range def.Faults(event) {
		if !slices.ContainsFunc(faults[:before], func(f Fault) bool { return topKey(f.Field) == topKey(fault.Field) }) {
			faults = append(faults, fault)
		}
	}
	if err := Faulty(eventType, faults); err != nil {
		return Translated{}, err
	}
	out.Event = event
	return out, nil
}

// read decodes an object whose keys are canonical.
func (d *Def) read(object Payload) (Event, error) {
	canonical, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	return d.decode(StandardCodec{}, canonical)
}

// rename moves legacy keys to their canonical names. Two names of one key with
// different values are a fault, since either could be right.
func (d *Def) rename(object Payload) (renamed []string, faults []Fault) {
	source := map[string]string{} // canonical key → the alias its value came from
	for _, legacy := range slices.Sorted(maps.Keys(d.Aliases)) {
		if !object.Has(legacy) {
			delete(object, legacy)
			continue
		}
		canonical, value := d.Aliases[legacy], object[legacy]
		delete(object, legacy)
		if !object.Has(canonical) {
			object[canonical] = value
			source[canonical] = legacy
			renamed = append(renamed, legacy+" → "+canonical)
			continue
		}
		if !sameJSON(object[canonical], value) {
			rival := canonical
			if from, aliased := source[canonical]; aliased {
				rival = from
			}
			faults = append(faults, Fault{legacy, "contradicts " + rival})
		}
	}
	return renamed, faults
}

// drop removes keys that the type does not have.
func (d *Def) drop(object Payload) []string {
	var dropped []string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !d.hasKey(key) {
			delete(object, key)
			dropped = append(dropped, Clip(key, 128)+" dropped: not a key of "+d.Type)
		} else if !object.Has(key) {
			delete(object, key)
		}
	}
	return dropped
}

func (d *Def) hasKey(name string) bool {
	return slices.ContainsFunc(d.Keys, func(key Key) bool { return key.Name == name })
}

// missing returns a fault for every required key without a value.
func (d *Def) missing(object Payload) []Fault {
	var faults []Fault
	for _, key := range d.Keys {
		if !key.Optional && !object.Has(key.Name) {
			faults = append(faults, Fault{key.Name, "required"})
		}
	}
	return faults
}

// mistyped decodes key by key, because a decoder stops at the first fault.
func (d *Def) mistyped(object Payload) []Fault {
	var faults []Fault
	for _, key := range d.Keys {
		value, present := object[key.Name]
		if !present {
			continue
		}
		alone, err := json.Marshal(Payload{key.Name: value})
		if err == nil {
			_, err = d.decode(StandardCodec{}, alone)
		}
		if err != nil {
			fault := typeFault(err)
			if fault.Field == "payload" {
				fault.Field = key.Name
			}
			faults = append(faults, fault)
		}
	}
	return faults
}

// ReadObject parses the top level of a payload. A duplicate key, at any depth, is a
// fault, because readers differ in which value they keep. The object is nil if the
// payload is not one.
func ReadObject(payload []byte) (Payload, []Fault) {
	if !utf8.Valid(payload) {
		return nil, []Fault{{"payload", "want UTF-8"}}
	}
	var object Payload
	if err := json.Unmarshal(payload, &object); err != nil || object == nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, []Fault{{"payload", "want a JSON object: " + syntax.Error()}}
		}
		return nil, []Fault{{"payload", "want a JSON object"}}
	}
	if Repeats(payload) {
		return object, Doubled(payload)
	}
	return object, nil
}

// manyKeys is the number of keys in one object from which on they are not compared
// pairwise.
const manyKeys = 64

// Repeats reports whether a valid document may contain a duplicate key in one
// object. False is certain; true has to be checked with Doubled. In a valid
// document a string is a key if a colon follows it.
func Repeats(document []byte) bool {
	var keys [][]byte // of the enclosing objects
	var starts []int  // in keys
	for at := 0; at < len(document); at++ {
		switch document[at] {
		case '{':
			starts = append(starts, len(keys))
		case '}':
			if len(starts) == 0 {
				return true
			}
			keys, starts = keys[:starts[len(starts)-1]], starts[:len(starts)-1]
		case '"':
			text, escaped, ok := textAt(document, at+1)
			if !ok {
				return true
			}
			at += len(text) + 1
			if !colonFollows(document, at+1) {
				continue
			}
			if escaped || len(starts) == 0 {
				return true
			}
			siblings := keys[starts[len(starts)-1]:]
			if len(siblings) >= manyKeys || slices.ContainsFunc(siblings, func(key []byte) bool { return bytes.Equal(key, text) }) {
				return true
			}
			keys = append(keys, text)
		}
	}
	return false
}

// textAt returns the string literal that begins at start, without its quotes and
// still escaped.
func textAt(document []byte, start int) (text []byte, escaped, ok bool) {
	for at := start; at < len(document); at++ {
		switch document[at] {
		case '\\':
			escaped = true
			at++
		case '"':
			return document[start:at], escaped, true
		}
	}
	return nil, escaped, false
}

func colonFollows(document []byte, at int) bool {
	for ; at < len(document); at++ {
		switch document[at] {
		case ' ', '\t', '\n', '\r':
		default:
			return document[at] == ':'
		}
	}
	return false
}

// Doubled returns a fault for every duplicate key of a valid document.
func Doubled(document []byte) []Fault {
	type level struct {
		object bool
		path   string
		key    string
		keyed  bool // key is read and its value comes next
		seen   map[string]bool
	}
	var faults []Fault
	var open []*level
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	for first := true; first || len(open) > 0; first = false {
		token, err := decoder.Token()
		if err != nil {
			return append(faults, Fault{"payload", err.Error()})
		}
		var inner *level
		path := ""
		if len(open) > 0 {
			inner = open[len(open)-1]
			path = inner.path
			if inner.object && inner.keyed {
				path = JoinKeys(path, inner.key)
			}
		}
		delim, isDelim := token.(json.Delim)
		switch {
		case isDelim && (delim == '}' || delim == ']'):
			open = open[:len(open)-1]
			if len(open) > 0 {
				open[len(open)-1].keyed = false
			}
		case isDelim:
			open = append(open, &level{object: delim == '{', path: path, seen: map[string]bool{}})
		case inner != nil && inner.object && !inner.keyed:
			key, _ := token.(string)
			if inner.seen[key] {
				faults = append(faults, Fault{JoinKeys(inner.path, key), "stands twice"})
			}
			inner.seen[key] = true
			inner.key, inner.keyed = key, true
		case inner != nil:
			inner.keyed = false
		}
	}
	return faults
}

// JoinKeys returns the path of a key below another, each cut to 128 bytes.
func JoinKeys(path, key string) string {
	if path == "" {
		return Clip(key, 128)
	}
	return path + "." + Clip(key, 128)
}

// topKey returns the top-level key of a fault's path.
func topKey(field string) string {
	if end := strings.IndexAny(field, ".["); end >= 0 {
		return field[:end]
	}
	return field
}
