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

// Stream returns the stream with all events of the node.
func (id NodeID) Stream() StreamID { return Stream("node", string(id)) }

// Round6 rounds to six decimals, for readability.
func Round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// TaskID names a work item.
type TaskID string

// Stream returns the stream with all events of the item.
func (id TaskID) Stream() StreamID { return Stream("task", string(id)) }

// MaxName limits the length of a name in bytes.
const MaxName = 200

// JoinNames joins names with ":" unambiguously, by escaping those that contain it.
// Names without ":" and "@" are unchanged.
func JoinNames(names ...string) string {
	joined := make([]string, len(names))
	for i, name := range names {
		joined[i] = strings.ReplaceAll(strings.ReplaceAll(name, "@", "@a"), ":", "@c")
	}
	return strings.Join(joined, ":")
}

// CheckName returns an error for a name that is not usable in a stream id or a
// path: empty, longer than 200 bytes, only dots, or with anything but letters,
// digits and "._:@-".
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
