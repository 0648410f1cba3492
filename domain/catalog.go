package domain

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Codec encodes and decodes payloads. encoding/json is the reference; a faster
// codec must agree with it.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// StandardCodec is encoding/json.
type StandardCodec struct{}

// Marshal calls json.Marshal.
func (StandardCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal calls json.Unmarshal.
func (StandardCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// Validator is an event that can check itself. It is called on append but never on
// replay, because events in the log have already happened.
type Validator interface{ Validate() []Fault }

// Refusal is an event that records why a command was refused. The command's
// caller gets the error, now and on every retry with the same command id.
type Refusal interface{ Refusal() error }

// Def is the catalogue's entry for one event type.
type Def struct {
	Type    string
	Version int    // the current schema version, from 1
	Stream  string // the category of the streams it lives in
	About   string // one sentence: when it is recorded
	Origin  Origin // who may append it
	Keys    []Key  // the payload's keys, in order, from the struct
	Aliases map[string]string
	Names   []string // other wire names that are accepted on input
	Example string   // a payload
	Zero    Event    // the empty event, for its type

	reshapes  []func(Payload) []string
	upcasters map[int]upcaster
	decode    func(Codec, []byte) (Event, error)
	ranges    Ranges
	checks    []func(Event) []Fault
}

// Faults returns what is wrong with an event of the type: by its own Validate, by
// the range of each number's type, and by the checks of the entry.
func (d *Def) Faults(event Event) (faults []Fault) {
	if v, can := event.(Validator); can {
		faults = v.Validate()
	}
	known := faults
	for _, fault := range d.ranges.Faults(event) {
		if !slices.ContainsFunc(known, func(f Fault) bool { return f.Field == fault.Field }) {
			faults = append(faults, fault)
		}
	}
	for _, check := range d.checks {
		faults = append(faults, check(event)...)
	}
	return faults
}

// Key is one key of a payload as the catalogue describes it.
type Key struct {
	Name     string
	Type     string // in the words of JSON: "text", "whole number", "list of text" …
	Optional bool
}

// Homed is an event that knows the stream it belongs to, so that tools which append
// it need not name the stream.
type Homed interface{ Home() StreamID }

// Origin is who may append an event.
type Origin string

// The origins.
const (
	Inside   Origin = "internal" // only decisions of rift
	External Origin = "external" // also callers of POST /events: the bridge for training scripts
)

type upcaster struct {
	from int
	up   func(Codec, []byte) ([]byte, error)
}

// Option configures an entry.
type Option func(*Def)

// Define returns the entry of event type E at a schema version.
func Define[E Event](version int, stream, about string, options ...Option) Def {
	var zero E
	def := Def{
		Type: zero.EventType(), Version: version, Stream: stream, About: about, Origin: Inside,
		Keys:      keysOf(zero),
		ranges:    rangesOfEvent(zero),
		Zero:      zero,
		upcasters: map[int]upcaster{},
		decode: func(codec Codec, data []byte) (Event, error) {
			var event E
			if err := codec.Unmarshal(data, &event); err != nil {
				return nil, err
			}
			return event, nil
		},
	}
	for _, option := range options {
		option(&def)
	}
	return def
}

// WithExamples adds example payloads to entries, by type.
func WithExamples(defs []Def, examples map[string]string) []Def {
	for i := range defs {
		defs[i].Example = examples[defs[i].Type]
	}
	return defs
}

// Checked adds a check of events that needs more than their type knows.
func Checked[E Event](check func(E) []Fault) Option {
	return func(def *Def) {
		def.checks = append(def.checks, func(event Event) []Fault {
			typed, ok := event.(E)
			if !ok {
				return nil
			}
			return check(typed)
		})
	}
}

// Up adds the conversion of payloads of schema version from to from+1. It must
// never be deleted, because old logs must stay readable.
func Up[Old, New any](from int, up func(Old) New) Option {
	return func(def *Def) {
		if _, twice := def.upcasters[from]; twice {
			def.upcasters[from] = upcaster{from: -1} // refused by NewCatalog
			return
		}
		def.upcasters[from] = upcaster{from: from, up: func(codec Codec, data []byte) ([]byte, error) {
			var old Old
			if err := codec.Unmarshal(data, &old); err != nil {
				return nil, err
			}
			return codec.Marshal(up(old))
		}}
	}
}

// FromOutside marks an event that tools may append through POST /events.
func FromOutside() Option { return func(def *Def) { def.Origin = External } }

// Alias accepts a legacy key in payloads that come from outside.
func Alias(legacy, canonical string) Option {
	return func(def *Def) {
		if def.Aliases == nil {
			def.Aliases = map[string]string{}
		}
		def.Aliases[legacy] = canonical
	}
}

// Reshape accepts an old payload shape from outside that differs by more than
// renamed keys. change edits the payload in place, before aliases are applied, only
// where the meaning is certain, and returns what it changed.
func Reshape(change func(Payload) []string) Option {
	return func(def *Def) { def.reshapes = append(def.reshapes, change) }
}

// AlsoNamed accepts other wire names of the type on input.
func AlsoNamed(names ...string) Option {
	return func(def *Def) { def.Names = append(def.Names, names...) }
}

// Catalog holds every event type. It is built once at start, and contradicting
// entries are an error then.
type Catalog struct {
	codec Codec
	defs  map[string]*Def
	names map[string]string // every accepted name, lower case → type
	order []string
}

// NewCatalog returns the catalogue of the areas' entries. A duplicate type or name,
// a version below 1, or a gap in an upcaster chain is an error.
func NewCatalog(codec Codec, areas ...[]Def) (*Catalog, error) {
	if codec == nil {
		codec = StandardCodec{}
	}
	c := &Catalog{codec: codec, defs: map[string]*Def{}, names: map[string]string{}}
	var faults []Fault
	for _, area := range areas {
		for _, def := range area {
			if _, twice := c.defs[def.Type]; twice {
				faults = append(faults, Fault{def.Type, "defined twice"})
				continue
			}
			if def.Version < 1 {
				faults = append(faults, Fault{def.Type, "want a schema version of at least 1"})
			}
			for from := 1; from < def.Version; from++ {
				if def.upcasters[from].from != from {
					faults = append(faults, Fault{def.Type, fmt.Sprintf("want exactly one upcaster from version %d", from)})
				}
			}
			if len(def.upcasters) > max(def.Version-1, 0) {
				faults = append(faults, Fault{def.Type, fmt.Sprintf("more upcasters than versions below %d", def.Version)})
			}
			faults = append(faults, def.faults()...)
			entry := def
			c.defs[def.Type] = &entry
			c.order = append(c.order, def.Type)
			for _, name := range append([]string{def.Type}, def.Names...) {
				key := strings.ToLower(name)
				if other, taken := c.names[key]; taken && other != def.Type {
					faults = append(faults, Fault{def.Type, fmt.Sprintf("name %q already means %s", name, other)})
				}
				c.names[key] = def.Type
			}
		}
	}
	slices.Sort(c.order)
	if err := Faulty("event catalogue", faults); err != nil {
		return nil, err
	}
	return c, nil
}

// faults returns the errors of an entry with which no event could be appended or
// translated.
func (d *Def) faults() []Fault {
	var faults []Fault
	if _, err := ParseStreamID(d.Stream + "-x"); err != nil {
		faults = append(faults, Fault{d.Type, fmt.Sprintf("stream category %q: want the letters a to z", d.Stream)})
	}
	for _, legacy := range slices.Sorted(maps.Keys(d.Aliases)) {
		switch {
		case d.hasKey(legacy):
			faults = append(faults, Fault{d.Type, fmt.Sprintf("alias %q is a key of its own", legacy)})
		case !d.hasKey(d.Aliases[legacy]):
			faults = append(faults, Fault{d.Type, fmt.Sprintf("alias %q means %q, which is no key", legacy, d.Aliases[legacy])})
		}
	}
	return faults
}

// Defs returns the entries sorted by type.
func (c *Catalog) Defs() []Def {
	defs := make([]Def, 0, len(c.order))
	for _, name := range c.order {
		defs = append(defs, *c.defs[name])
	}
	return defs
}

// Lookup returns the entry of a type.
func (c *Catalog) Lookup(eventType string) (Def, bool) {
	def, ok := c.defs[eventType]
	if !ok {
		return Def{}, false
	}
	return *def, true
}

// Resolve returns the type for a name from outside: the type itself or a legacy
// name, in any letter case.
func (c *Catalog) Resolve(name string) (string, bool) {
	if _, ok := c.defs[name]; ok {
		return name, true
	}
	found, ok := c.names[strings.ToLower(name)]
	return found, ok
}

// Decode decodes a stored payload, converting old versions to the current one. An
// unknown type is NotFound; a version newer than the catalogue's is Corrupt,
// because a later build wrote the log.
func (c *Catalog) Decode(eventType string, version int, data []byte) (Event, error) {
	def, ok := c.defs[eventType]
	if !ok {
		return nil, Errorf(NotFound, "event type %q is not in the catalogue", eventType)
	}
	if version < 1 || version > def.Version {
		return nil, Errorf(Corrupt, "%s: want a schema version from 1 to %d, found %d", eventType, def.Version, version)
	}
	for v := version; v < def.Version; v++ {
		up, err := def.upcasters[v].up(c.codec, data)
		if err != nil {
			_, standard := def.upcasters[v].up(StandardCodec{}, data)
			return nil, undecodable(eventType, v, cmp.Or(standard, err))
		}
		data = up
	}
	event, err := def.decode(c.codec, data)
	if err != nil {
		_, standard := def.decode(StandardCodec{}, data)
		return nil, undecodable(eventType, version, cmp.Or(standard, err))
	}
	return event, nil
}

// undecodable returns the error for a payload that cannot be decoded, with the key
// and its wrong type. It uses the standard library's error, since that of a fast
// codec may not name the key.
func undecodable(eventType string, version int, err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return Errorf(Corrupt, "%s version %d: %w", eventType, version, err)
	}
	fault := typeFault(err)
	return Errorf(Corrupt, "%s version %d: %s: %s", eventType, version, fault.Field, fault.Reason)
}

// Fill decodes an envelope's payload in place.
func (c *Catalog) Fill(e *Envelope) error {
	if e.Event != nil {
		return nil
	}
	event, err := c.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		return err
	}
	e.Event = event
	return nil
}

// Encode encodes an event at the current version. It refuses an event that is not
// in the catalogue, or that has faults.
func (c *Catalog) Encode(event Event) (eventType string, version int, data []byte, err error) {
	def, ok := c.defs[event.EventType()]
	if !ok {
		return "", 0, nil, Errorf(Internal, "event type %q is not in the catalogue", event.EventType())
	}
	if err := Faulty(def.Type, def.Faults(event)); err != nil {
		return "", 0, nil, err
	}
	data, err = c.codec.Marshal(event)
	if err != nil {
		return "", 0, nil, Errorf(Invalid, "%s: %w", def.Type, err)
	}
	return def.Type, def.Version, data, nil
}
