package mapping

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ringrift/rift/domain"
)

// decoder collects what is wrong with a document.
type decoder struct {
	faults  []domain.Fault
	catalog *domain.Catalog
}

const maxFaults = 100

func (d *decoder) fault(path, format string, args ...any) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, domain.Fault{Field: path, Reason: fmt.Sprintf(format, args...)})
	}
}

// table is a mapping of YAML whose keys are asked for one by one; what nobody
// asked for is a fault.
type table struct {
	d     *decoder
	path  string
	keys  []string
	nodes map[string]*yaml.Node
	asked map[string]bool
}

func (d *decoder) table(n *yaml.Node, path string) *table {
	t := &table{d: d, path: path, nodes: map[string]*yaml.Node{}, asked: map[string]bool{}}
	if n == nil {
		return t
	}
	if n.Kind != yaml.MappingNode {
		d.fault(path, "want keys and values, found %s (line %d)", kindOf(n), n.Line)
		return t
	}
	if len(n.Content)/2 > maxKeys {
		d.fault(path, "want at most %d keys, found %d", maxKeys, len(n.Content)/2)
		return t
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			d.fault(path, "want a name as a key, found %s (line %d)", kindOf(key), key.Line)
			continue
		}
		if _, twice := t.nodes[key.Value]; twice {
			d.fault(joinPath(path, key.Value), "is there twice (line %d)", key.Line)
			continue
		}
		t.keys = append(t.keys, key.Value)
		t.nodes[key.Value] = n.Content[i+1]
	}
	return t
}

func (t *table) at(key string) string { return joinPath(t.path, key) }

func (t *table) has(key string) bool { return t.nodes[key] != nil }

func (t *table) node(key string) *yaml.Node {
	t.asked[key] = true
	return t.nodes[key]
}

// end names the keys that nobody asked for.
func (t *table) end() {
	if len(t.keys) == 0 {
		return
	}
	var known []string
	for key := range t.asked {
		known = append(known, key)
	}
	slices.Sort(known)
	for _, key := range t.keys {
		if !t.asked[key] {
			t.d.fault(t.at(domain.Clip(key, 80)), "no such key (line %d); want %s", t.nodes[key].Line, strings.Join(known, ", "))
		}
	}
}

// text is a scalar; empty where the key is absent.
func (t *table) text(key string) string {
	n := t.node(key)
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		t.d.fault(t.at(key), "want text, found %s (line %d)", kindOf(n), n.Line)
		return ""
	}
	return n.Value
}

// texts is a scalar or a list of them.
func (t *table) texts(key string) []string {
	n := t.node(key)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return []string{t.text(key)}
	}
	if len(n.Content) > maxKeys {
		t.d.fault(t.at(key), "want at most %d elements, found %d", maxKeys, len(n.Content))
		return nil
	}
	var list []string
	for i, element := range n.Content {
		if element.Kind != yaml.ScalarNode {
			t.d.fault(fmt.Sprintf("%s[%d]", t.at(key), i+1), "want text, found %s (line %d)", kindOf(element), element.Line)
			continue
		}
		list = append(list, element.Value)
	}
	return list
}

func (t *table) bool(key string) (is bool) {
	if n := t.node(key); n != nil && n.Decode(&is) != nil {
		t.d.fault(t.at(key), "want true or false, found %q (line %d)", domain.Clip(n.Value, 40), n.Line)
	}
	return is
}

func (t *table) whole(key string, low, high, absent int) int {
	n := t.node(key)
	if n == nil {
		return absent
	}
	var number int
	if n.Decode(&number) != nil || number < low || number > high {
		t.d.fault(t.at(key), "want a whole number from %d to %d, found %q (line %d)", low, high, domain.Clip(n.Value, 40), n.Line)
		return absent
	}
	return number
}

func (t *table) template(key string) *template {
	if !t.has(key) {
		t.asked[key] = true
		return nil
	}
	made, err := parseTemplate(t.text(key))
	if err != nil {
		t.d.fault(t.at(key), "%v", err)
	}
	return made
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias, which a mapping may not hold"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
		return "text"
	default:
		return "nothing that is known"
	}
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
