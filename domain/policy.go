package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// Seconds is a duration in policies and payloads.
type Seconds float64

// Duration converts to a time.Duration, to the microsecond. A value too large for a
// Duration, as in logs from before MaxSeconds, gives the longest one; NaN gives 0.
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

// Policy is the document with all settings of decisions. It is data: a change is an
// event (POLICY_CHANGED), so a replay uses the policy of its time. It consists of
// sections, one for each part of an area. The zero Policy is the built-in one.
type Policy struct {
	sections []Section
	raw      json.RawMessage // as stored in the log; nil for a document made by Sections
	// members are the sections of raw, split once: reactors ask for them one by
	// one, and splitting costs many times as much as decoding one section.
	members map[string]json.RawMessage
}

// Section is a part of a policy document: a struct of settings whose json tags are
// its keys.
type Section interface {
	SectionName() string // its key in the document
	About() string       // what its settings are about
	Default() Section
	Faults() []Fault // every unusable setting, by dotted key
}

// SectionOf returns a section of a document. Settings missing from the document
// have their defaults.
func SectionOf[S Section](p Policy) S {
	for _, section := range p.sections {
		if found, ok := section.(S); ok {
			return found
		}
	}
	var zero S
	section, _ := zero.Default().(S)
	if p.raw != nil {
		// The error can be ignored: only documents that Sections.Read accepted get
		// into a read model.
		_ = decodeMember(p.members[section.SectionName()], section.SectionName(), &section, false)
	}
	return section
}

// With returns the document with one section replaced.
func (p Policy) With(section Section) Policy {
	at := slices.IndexFunc(p.sections, func(s Section) bool { return s.SectionName() == section.SectionName() })
	if at < 0 {
		return Policy{sections: append(slices.Clip(p.sections), section), raw: p.raw, members: p.members}
	}
	sections := slices.Clone(p.sections)
	sections[at] = section
	return Policy{sections: sections, raw: p.raw, members: p.members}
}

// Faults returns a fault for every unusable setting.
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

// UnmarshalJSON keeps the document unparsed; Sections.Read checks it.
func (p *Policy) UnmarshalJSON(data []byte) error {
	*p = written(bytes.Clone(data))
	return nil
}

// written returns a document as stored in a log. JSON that is not an object has no
// sections.
func written(raw json.RawMessage) Policy {
	p := Policy{raw: raw}
	_ = json.Unmarshal(raw, &p.members)
	return p
}

// PolicyChecks collects the faults of a policy document.
type PolicyChecks []Fault

// Fault adds a fault.
func (c *PolicyChecks) Fault(field, format string, values ...any) {
	*c = append(*c, Fault{field, fmt.Sprintf(format, values...)})
}

// Positive adds a fault unless v is above 0; NaN is not.
func (c *PolicyChecks) Positive(field string, v float64) {
	if !(v > 0) {
		c.Fault(field, "want more than 0, found %v", v)
	}
}

// PolicyChanged: the named policy document was changed to this.
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

// PolicyStream returns the stream with the versions of a policy document.
func PolicyStream(name string) StreamID { return Stream("policy", name) }

// PolicyEvents returns the catalogue entries for policy documents with these
// sections.
func PolicyEvents(sections Sections) []Def {
	return WithExamples([]Def{
		Define[PolicyChanged](1, "policy", "the named policy document has these numbers from here on",
			Checked(func(e PolicyChanged) []Fault { return sections.Faults(e.Policy) })),
	}, map[string]string{"POLICY_CHANGED": `{"name":"default","policy":{"work":{"lease_seconds":30}},"reason":"long ago"}`})
}

// PolicyDefaultName is the document that all decisions use.
const PolicyDefaultName = "default"
