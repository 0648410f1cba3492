package mapping

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ringrift/rift/domain"
)

// values are keys with what they are made of: a template, a number, true or
// false, or an object with from, type and the like.
func (d *decoder) values(n *yaml.Node, path string) []value {
	t := d.table(n, path)
	var list []value
	for _, key := range t.keys {
		list = append(list, d.value(t, key))
	}
	return list
}

func (d *decoder) value(t *table, key string) value {
	v := value{key: key, kind: kindString}
	n := t.node(key)
	switch n.Kind {
	case yaml.ScalarNode:
		if literal, is := d.literal(t.at(key), n); is {
			v.literal = literal
			return v
		}
		v.from = t.template(key)
		return v
	case yaml.MappingNode:
	default:
		d.fault(t.at(key), "want text, a number, true, false or keys and values, found %s (line %d)", kindOf(n), n.Line)
		return v
	}
	inner := d.table(n, t.at(key))
	v.from, v.split, v.add = inner.template("from"), splitting(inner.text("split")), inner.text("add")
	v.first = inner.bool("first")
	if kind := inner.text("type"); kind != "" {
		v.kind = valueKind(kind)
		if !slices.Contains(valueKinds, kind) {
			d.fault(inner.at("type"), "want one of %s, found %q", strings.Join(valueKinds, ", "), domain.Clip(kind, 40))
		}
	}
	if absent := inner.node("default"); absent != nil {
		if literal, is := d.literal(inner.at("default"), absent); is {
			v.absent = literal
		} else if absent.Kind == yaml.ScalarNode {
			v.absent = absent.Value
		}
	}
	if words := inner.node("words"); words != nil {
		table := d.table(words, inner.at("words"))
		v.words = map[string]string{}
		for _, word := range table.keys {
			v.words[word] = table.text(word)
		}
	}
	if object := inner.node("object"); object != nil {
		v.kind, v.object = kindObject, d.values(object, inner.at("object"))
	}
	inner.end()
	d.checkValue(inner, v)
	return v
}

// literal is a number, true or false; text is a template.
func (d *decoder) literal(path string, n *yaml.Node) (any, bool) {
	switch n.Tag {
	case "!!int":
		number, err := strconv.ParseInt(n.Value, 0, 64)
		if err != nil {
			d.fault(path, "want a whole number below 2^63, found %q", domain.Clip(n.Value, 40))
		}
		return number, true
	case "!!float":
		number, err := finite(n.Value)
		if err != nil {
			d.fault(path, "%v", err)
		}
		return number, true
	case "!!bool":
		return n.Value == "true", true
	}
	return nil, false
}

func (d *decoder) checkValue(t *table, v value) {
	if v.from == nil && v.object == nil && v.kind != kindTime {
		d.fault(t.at("from"), "required")
	}
	if v.kind == kindObject && v.object == nil {
		d.fault(t.at("object"), "required where the type is object")
	}
	if v.first && v.split == "" {
		d.fault(t.at("split"), "required where first is true")
	}
	if v.kind == kindList && v.split == "" {
		d.fault(t.at("split"), "required where the type is list: a separator, or hostlist")
	}
	if v.add == "" {
		return
	}
	var err error
	switch v.kind {
	case kindInt:
		_, err = strconv.ParseInt(v.add, 10, 32)
	case kindTime:
		_, err = time.ParseDuration(v.add)
	default:
		err = domain.Errorf(domain.Invalid, "want it where the type is int or time")
	}
	if err != nil {
		d.fault(t.at("add"), "%v", err)
	}
}

// conditions are written as "column: word", "column: [word, word]" or
// "column: ~expression"; a ! before the text means that it is not so, and the
// empty text that there is nothing.
func (d *decoder) conditions(t *table) []condition {
	inner := d.table(t.node("when"), t.at("when"))
	var list []condition
	for _, field := range inner.keys {
		c := condition{field: field, any: inner.texts(field)}
		for i, word := range c.any {
			if i > 0 {
				c.said += " or "
			}
			c.said += quotedOrNothing(word)
		}
		if len(c.any) == 1 {
			text, negated := strings.CutPrefix(c.any[0], "!")
			c.negated, c.any[0] = negated, text
			if expression, is := strings.CutPrefix(text, "~"); is {
				c.match = d.compile(inner.at(field), expression)
			}
		}
		list = append(list, c)
	}
	return list
}

func (d *decoder) each(t *table) *each {
	n := t.node("each")
	if n == nil {
		return nil
	}
	inner := d.table(n, t.at("each"))
	e := &each{name: inner.text("name"), from: inner.template("from"), split: splitting(inner.text("split"))}
	if e.name == "" {
		d.fault(inner.at("name"), "required")
	}
	if e.from == nil {
		d.fault(inner.at("from"), "required")
	}
	if e.split == "" {
		d.fault(inner.at("split"), "required: a separator, or hostlist")
	}
	inner.end()
	return e
}
