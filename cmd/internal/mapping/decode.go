package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are named in mappings, and a machine may have none

	"go.yaml.in/yaml/v3"

	"github.com/ringrift/rift/domain"
)

// Parse reads a mapping. Every fault is named, with its rule and key; events and
// keys of payloads must be those of the catalogue.
func Parse(document []byte, catalog *domain.Catalog) (*Mapping, error) {
	return parse(document, catalog, 0)
}

// maxIncluded bounds how deep mappings include mappings.
const maxIncluded = 3

func parse(document []byte, catalog *domain.Catalog, depth int) (*Mapping, error) {
	if len(document) > MaxDocument {
		return nil, domain.Errorf(domain.TooLarge, "mapping: want at most %d bytes, found %d", MaxDocument, len(document))
	}
	reader := yaml.NewDecoder(bytes.NewReader(document))
	var root, second yaml.Node
	if err := reader.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			err = domain.Errorf(domain.Invalid, "want lines and rules, found nothing")
		}
		return nil, domain.Errorf(domain.Invalid, "mapping: %w", err)
	}
	if err := reader.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, domain.Errorf(domain.Invalid, "mapping: want one document, found more")
	}
	d := &decoder{catalog: catalog}
	m := d.mapping(root.Content[0], depth)
	if err := domain.Faulty("mapping", d.faults); err != nil {
		return nil, err
	}
	return m, nil
}

func (d *decoder) mapping(n *yaml.Node, depth int) *Mapping {
	t := d.table(n, "")
	m := &Mapping{
		Name: t.text("name"), About: t.text("about"), Lines: Kind(t.text("lines")), list: t.text("records"),
		Separator: ',', head: d.pattern(t, "head"), text: t.template("text"), time: d.moment(t),
		remembered: t.whole("remembers", 1, maxRemembered, defaultRemembered),
	}
	if m.Name == "" {
		m.Name = "mapping"
	}
	switch m.Lines {
	case Text, CSV, JSON:
	default:
		d.fault("lines", "want text, csv or json, found %q", domain.Clip(string(m.Lines), 40))
	}
	if separator := t.text("separator"); separator != "" {
		runes := []rune(separator)
		m.Separator = runes[0]
		if len(runes) != 1 || strings.ContainsAny(separator, "\"\r\n\uFFFD") || m.Lines != CSV {
			d.fault("separator", "want one character of csv, found %q", domain.Clip(separator, 40))
		}
	}
	if m.list != "" && m.Lines != JSON {
		d.fault("records", "want it where lines are json, found %s", m.Lines)
	}
	switch order := t.text("order"); order {
	case "":
		m.SortTimes = m.Lines != Text
	case "time", "file":
		m.SortTimes = order == "time"
	default:
		d.fault("order", "want time or file, found %q", domain.Clip(order, 40))
	}
	if list := t.node("rules"); list != nil {
		m.rules = d.rules(list, m.time != nil)
	}
	for _, name := range t.texts("include") {
		included, err := shippedMapping(name, d.catalog, depth+1)
		if err != nil {
			d.fault("include", "%v", err)
			continue
		}
		m.rules = append(m.rules, included.rules...)
	}
	if len(m.rules) == 0 || len(m.rules) > maxRules {
		d.fault("rules", "want 1 to %d rules, found %d", maxRules, len(m.rules))
	}
	t.end()
	return m
}

func (d *decoder) rules(list *yaml.Node, timed bool) []*rule {
	if list.Kind != yaml.SequenceNode {
		d.fault("rules", "want a list, found %s (line %d)", kindOf(list), list.Line)
		return nil
	}
	var rules []*rule
	names := map[string]bool{}
	for i, n := range list.Content[:min(len(list.Content), maxRules+1)] {
		path := fmt.Sprintf("rules[%d]", i+1)
		t := d.table(n, path)
		name := t.text("name")
		if name == "" {
			name = path
		} else {
			t.path += " (" + domain.Clip(name, 80) + ")"
		}
		if names[name] {
			d.fault(t.at("name"), "is that of another rule")
		}
		names[name] = true
		rules = append(rules, d.rule(t, domain.Clip(name, 80), timed))
	}
	return rules
}

func (d *decoder) rule(t *table, name string, timed bool) *rule {
	r := &rule{
		name: name, match: d.pattern(t, "match"), recall: d.templates(t, "recall"), when: d.conditions(t), each: d.each(t),
		event: t.text("event"), stream: t.template("stream"), time: d.moment(t), forget: t.template("forget"),
		skip: domain.Clip(t.text("skip"), 200), more: t.bool("more"),
	}
	if fold := t.text("fold"); fold != "" {
		if r.skip != "" {
			d.fault(t.at("fold"), "want either fold or skip")
		}
		r.skip, r.fold = domain.Clip(fold, 200), true
	}
	r.values = d.values(t.node("values"), t.at("values"))
	if n := t.node("remember"); n != nil {
		inner := d.table(n, t.at("remember"))
		r.remember = &remember{key: inner.template("key"), values: d.values(inner.node("values"), inner.at("values"))}
		if r.remember.key == nil {
			d.fault(inner.at("key"), "required")
		}
		inner.end()
	}
	t.end()
	switch {
	case r.event != "":
		d.eventKeys(t, r)
		if !timed && r.time == nil {
			d.fault(t.at("time"), "required, here or for all rules")
		}
		if r.skip != "" {
			d.fault(t.at("skip"), "want either an event or skip or fold")
		}
	case r.skip == "" && r.remember == nil && r.forget == nil:
		d.fault(t.at("event"), "want an event, or skip or fold with a reason, or remember or forget")
	case len(r.values) > 0 || r.stream != nil:
		d.fault(t.at("values"), "want values and stream beside an event only")
	}
	return r
}

// eventKeys holds an event and the keys of its values against the catalogue.
func (d *decoder) eventKeys(t *table, r *rule) {
	resolved, known := d.catalog.Resolve(r.event)
	def, found := d.catalog.Lookup(resolved)
	if !known || !found {
		d.fault(t.at("event"), "the catalogue has no event %q; rift catalog lists them", domain.Clip(r.event, 80))
		return
	}
	r.event = def.Type
	given := map[string]bool{}
	for _, value := range r.values {
		given[value.key] = true
		if !slices.ContainsFunc(def.Keys, func(k domain.Key) bool { return k.Name == value.key }) {
			var names []string
			for _, key := range def.Keys {
				names = append(names, key.Name)
			}
			d.fault(t.at("values."+value.key), "%s has no such key; want %s", def.Type, strings.Join(names, ", "))
		}
	}
	for _, key := range def.Keys {
		if !key.Optional && !given[key.Name] {
			d.fault(t.at("values."+key.Name), "required by %s", def.Type)
		}
	}
	if _, homed := def.Zero.(domain.Homed); !homed && r.stream == nil && !given[def.Stream+"_id"] {
		d.fault(t.at("stream"), "required: %s does not say which stream it belongs to", def.Type)
	}
}

func (d *decoder) templates(t *table, key string) []*template {
	var list []*template
	for _, text := range t.texts(key) {
		made, err := parseTemplate(text)
		if err != nil {
			d.fault(t.at(key), "%v", err)
		}
		list = append(list, made)
	}
	return list
}

func (d *decoder) pattern(t *table, key string) *regexp.Regexp {
	text := t.text(key)
	if text == "" {
		return nil
	}
	return d.compile(t.at(key), text)
}

func (d *decoder) compile(path, text string) *regexp.Regexp {
	if len(text) > maxPattern {
		d.fault(path, "want at most %d bytes, found %d", maxPattern, len(text))
		return nil
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		d.fault(path, "%v", err)
	}
	return compiled
}

func (d *decoder) moment(t *table) *moment {
	n := t.node("time")
	if n == nil {
		return nil
	}
	m := &moment{layouts: []string{layoutRFC3339}, zone: time.UTC}
	if n.Kind == yaml.ScalarNode {
		m.from = t.template("time")
		return m
	}
	inner := d.table(n, t.at("time"))
	m.from = inner.template("from")
	if m.from == nil {
		d.fault(inner.at("from"), "required")
	}
	if layouts := inner.texts("layouts"); layouts != nil {
		m.layouts = layouts
	}
	for _, layout := range m.layouts {
		if err := checkLayout(layout); err != nil {
			d.fault(inner.at("layouts"), "%v", err)
		}
	}
	if zone := inner.text("zone"); zone != "" {
		m.zone = d.zone(inner.at("zone"), zone)
	}
	inner.end()
	return m
}

// zone is UTC, an offset such as +02:00, or a name such as Europe/Berlin.
func (d *decoder) zone(path, text string) *time.Location {
	if at, err := time.Parse("-07:00", text); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(text, offset)
	}
	zone, err := time.LoadLocation(text)
	if err != nil || text == "Local" {
		d.fault(path, "want UTC, an offset such as +02:00 or a name such as Europe/Berlin, found %q", domain.Clip(text, 80))
		return time.UTC
	}
	return zone
}
