package domain

import (
	"math"
	"strings"
)

// NamedFaults checks a key that holds a name.
func NamedFaults(field, name string) []Fault {
	if err := CheckName(name); err != nil {
		return []Fault{{field, err.Error()}}
	}
	return nil
}

// NodeID names a machine of the cluster.
type NodeID string

// Stream is where the node's whole life is written.
func (id NodeID) Stream() StreamID { return Stream("node", string(id)) }

// Round6 keeps six decimals: a product is read by people.
func Round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// TaskID names a work item.
type TaskID string

// Stream is where the item's whole life is written.
func (id TaskID) Stream() StreamID { return Stream("task", string(id)) }

// MaxName bounds a name in bytes.
const MaxName = 200

// JoinNames makes one name of several, different for any other several: with ":"
// between, and those that hold it written so that they do not. Names without ":"
// and "@" stand as they are.
func JoinNames(names ...string) string {
	joined := make([]string, len(names))
	for i, name := range names {
		joined[i] = strings.ReplaceAll(strings.ReplaceAll(name, "@", "@a"), ":", "@c")
	}
	return strings.Join(joined, ":")
}

// CheckName refuses a name that cannot stand in a stream id or a path: empty,
// longer than 200 bytes, of dots alone, or with anything but letters, digits and
// "._:@-".
func CheckName(name string) error {
	if name == "" {
		return Errorf(Invalid, "required")
	}
	if len(name) > MaxName {
		return Errorf(Invalid, "want at most %d bytes, found %d", MaxName, len(name))
	}
	if strings.Trim(name, ".") == "" {
		return Errorf(Invalid, "want more than dots, found %q", Clip(name, 64))
	}
	for _, c := range name {
		if !strings.ContainsRune("._:@-", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return Errorf(Invalid, "want letters, digits and . _ : @ - only, found %q", c)
		}
	}
	return nil
}
