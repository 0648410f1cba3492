package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// Seconds is a duration as policies and payloads write it.
type Seconds float64

// Duration converts, to the microsecond that events keep. What no Duration holds,
// as logs from before MaxSeconds may have it, is the longest there is; what is no
// number is none.
func (s Seconds) Duration() time.Duration {
	const most = math.MaxInt64 / int64(time.Microsecond)
	switch micros := float64(s) * 1e6; {
	case micros >= float64(most):
		return time.Duration(most) * time.Microsecond
	case micros <= -float64(most):
		return -time.Duration(most) * time.Microsecond
	case math.IsNaN(micros):
		return 0
	default:
		return time.Duration(micros) * time.Microsecond
	}
}

// Policy is the document every number of a decision comes from. It is data: a
// change is an event (POLICY_CHANGED), so a replay uses the policy of its time.
// It consists of sections, one for each part of an area. The zero Policy is the
// built-in one, which nobody changed.
type Policy struct {
	sections []Section
	raw      json.RawMessage // as the log has it; nil for a document that Sections made
	// members are the sections of raw, parted once: reactors ask for one after the
	// other, and to part a document costs many times what a section does.
	members map[string]json.RawMessage
}

// Section is a part of a policy document: a struct of numbers whose json tags
// are its keys.
type Section interface {
	SectionName() string // its key in the document
	About() string       // what its numbers are
	Default() Section
	Faults() []Fault // every number that cannot work, by dotted key
}

// SectionOf finds a section in a document. A number that the document does not
// name has its default.
func SectionOf[S Section](p Policy) S {
	for _, section := range p.sections {
		if found, ok := section.(S); ok {
			return found
		}
	}
	var zero S
	section, _ := zero.Default().(S)
	if p.raw != nil {
		// A document gets into a read model only when Sections.Read takes all of it.
		_ = decodeMember(p.members[section.SectionName()], section.SectionName(), &section, false)
	}
	return section
}

// With gives the document with another section in the place of its own.
func (p Policy) With(section Section) Policy {
	at := slices.IndexFunc(p.sections, func(s Section) bool { return s.SectionName() == section.SectionName() })
	if at < 0 {
		return Policy{sections: append(slices.Clip(p.sections), section), raw: p.raw, members: p.members}
	}
	sections := slices.Clone(p.sections)
	sections[at] = section
	return Policy{sections: sections, raw: p.raw, members: p.members}
}

// Faults names every number that cannot work.
func (p Policy) Faults() []Fault {
	var faults []Fault
	for _, section := range p.sections {
		faults = append(faults, sectionFaults(section)...)
	}
	return faults
}

// MarshalJSON writes the sections in their order.
func (p Policy) MarshalJSON() ([]byte, error) {
	if p.raw != nil && len(p.sections) == 0 {
		return p.raw, nil
	}
	var b bytes.Buffer
	for i, section := range p.sections {
		encoded, err := json.Marshal(section)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", section.SectionName(), encoded)
	}
	return []byte("{" + b.String() + "}"), nil
}

// UnmarshalJSON keeps the document as it is written; Sections.Read judges it.
func (p *Policy) UnmarshalJSON(data []byte) error {
	*p = written(bytes.Clone(data))
	return nil
}

// written is a document as a log has it. What is no object has no sections.
func written(raw json.RawMessage) Policy {
	p := Policy{raw: raw}
	_ = json.Unmarshal(raw, &p.members)
	return p
}

// PolicyChecks gathers the faults of a policy document.
type PolicyChecks []Fault

// Fault adds one by its field and reason.
func (c *PolicyChecks) Fault(field, format string, values ...any) {
	*c = append(*c, Fault{field, fmt.Sprintf(format, values...)})
}

// Positive wants more than 0; not-a-number is not.
func (c *PolicyChecks) Positive(field string, v float64) {
	if !(v > 0) {
		c.Fault(field, "want more than 0, found %v", v)
	}
}

// PolicyChanged: the named policy document reads like this from here on.
type PolicyChanged struct {
	Name   string `json:"name"`
	Policy Policy `json:"policy"`
	Reason string `json:"reason,omitempty"`
}

func (PolicyChanged) EventType() string { return "POLICY_CHANGED" }

func (e PolicyChanged) Validate() []Fault {
	if e.Name == "" {
		return []Fault{{"name", "required"}}
	}
	return nil
}

// PolicyStream is where a policy document's versions live.
func PolicyStream(name string) StreamID { return Stream("policy", name) }

// PolicyEvents is the catalogue of policy documents that consist of sections.
func PolicyEvents(sections Sections) []Def {
	return WithExamples([]Def{
		Define[PolicyChanged](1, "policy", "the named policy document has these numbers from here on",
			Checked(func(e PolicyChanged) []Fault { return sections.Faults(e.Policy) })),
	}, map[string]string{"POLICY_CHANGED": `{"name":"default","policy":{"work":{"lease_seconds":30}},"reason":"long ago"}`})
}

// PolicyDefaultName is the document every decision follows.
const PolicyDefaultName = "default"
