package sched

import (
	"fmt"
	"slices"
	"strings"
)

// NodePolicy says which task types the nodes that match it take.
type NodePolicy struct {
	Name     string           `json:"name"`
	Contains []string         `json:"contains,omitempty"` // parts of a node id
	Prefixes []string         `json:"prefixes,omitempty"`
	Any      bool             `json:"any,omitempty"` // matches every node
	Prefer   []TypePreference `json:"prefer,omitempty"`
	Deny     []string         `json:"deny,omitempty"`
	OnlyThem bool             `json:"only_preferred,omitempty"` // types that Prefer does not list are denied too
}

// TypePreference is the preference of a node for a type. It orders items of one config and
// one priority.
type TypePreference struct {
	Type       string `json:"type"`
	Preference int    `json:"preference"`
}

const maxPreference = 1000

func defaultNodePolicies() []NodePolicy {
	return []NodePolicy{
		{
			Name: "gpu_heavy", Contains: []string{"gh200", "h100", "a100"},
			Prefer: []TypePreference{{"training", 100}, {"gpu_cmaes", 95}, {"gauntlet", 90}, {"tournament", 80}, {"selfplay", 60}},
			Deny:   []string{"cpu_cmaes", "data_merge"},
		},
		{
			Name: "gpu_medium", Contains: []string{"3090", "4080", "4090", "l40s"},
			Prefer: []TypePreference{{"training", 90}, {"gpu_cmaes", 85}, {"tournament", 80}, {"gauntlet", 70}, {"selfplay", 60}},
			Deny:   []string{"cpu_cmaes"},
		},
		{
			Name: "apple_silicon", Prefixes: []string{"macbook-", "mac-", "mbp-"},
			Prefer: []TypePreference{{"selfplay", 90}, {"training", 80}, {"gauntlet", 70}, {"cpu_cmaes", 60}},
			Deny:   []string{"gpu_cmaes"},
		},
		{
			Name: "cpu_only", Prefixes: []string{"aws-", "vast-cpu-"}, Contains: []string{"-cpu-"},
			Prefer: []TypePreference{{"cpu_cmaes", 100}, {"gauntlet", 90}, {"data_merge", 80}, {"selfplay", 70}},
			Deny:   []string{"training", "gpu_cmaes", "tournament"},
		},
		{
			Name: "vast_gpu", Prefixes: []string{"vast-", "192-"},
			Prefer: []TypePreference{{"training", 100}, {"gpu_cmaes", 95}, {"gauntlet", 90}, {"tournament", 85}, {"selfplay", 75}},
			Deny:   []string{"cpu_cmaes"},
		},
		{
			Name: "default", Any: true,
			Prefer: []TypePreference{{"training", 100}, {"gpu_cmaes", 90}, {"tournament", 80}, {"selfplay", 70}},
		},
	}
}

func (p NodePolicy) faults(field string) []Fault {
	var faults []Fault
	if p.Name == "" {
		faults = append(faults, Fault{field + ".name", "required"})
	}
	if !p.Any && len(p.Contains)+len(p.Prefixes) == 0 {
		faults = append(faults, Fault{field, "want contains, prefixes or any: it matches no node"})
	}
	if slices.Contains(p.Contains, "") || slices.Contains(p.Prefixes, "") {
		faults = append(faults, Fault{field, "an empty part would match every node; say any"})
	}
	for _, preferred := range p.Prefer {
		if slices.Contains(p.Deny, preferred.Type) {
			faults = append(faults, Fault{field + ".prefer", fmt.Sprintf("%s is preferred and denied", preferred.Type)})
		}
		if preferred.Preference < 0 || preferred.Preference > maxPreference {
			faults = append(faults, Fault{field + ".prefer", fmt.Sprintf("%s: want 0 to %d, found %d", preferred.Type, maxPreference, preferred.Preference)})
		}
	}
	return faults
}

// Matches reports whether a node has this policy. It ignores case.
func (p NodePolicy) Matches(node string) bool {
	if p.Any {
		return true
	}
	id := lower(node)
	for _, part := range p.Contains {
		if strings.Contains(id, lower(part)) {
			return true
		}
	}
	return hasPrefix(id, p.Prefixes)
}

// NodePolicy returns the first policy that matches a node; found is false if none does.
func (r *Rules) NodePolicy(node string) (policy NodePolicy, found bool) {
	for _, policy := range r.policy.NodePolicies {
		if policy.Matches(node) {
			return policy, true
		}
	}
	return NodePolicy{}, false
}

func (p NodePolicy) preference(kind string) (int, bool) {
	for _, preferred := range p.Prefer {
		if preferred.Type == kind {
			return preferred.Preference, true
		}
	}
	return 0, false
}

// Preference returns the preference of a node for a type; 0 if its policy does not say.
func (r *Rules) Preference(node, kind string) int {
	policy, _ := r.NodePolicy(node)
	preference, _ := policy.preference(kind)
	return preference
}

func hasPrefix(lowered string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(lowered, lower(prefix)) })
}

// lower converts ASCII letters to lower case. It leaves other letters as they are, so that
// decisions do not depend on a version of Unicode.
func lower(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

// GPUMemory is the memory of cards with a name. Each word of Name has to be a word of the
// card's name, so that "a10" does not match an A100.
type GPUMemory struct {
	Name      string `json:"name"`
	Gigabytes int    `json:"gigabytes"`
}

func defaultGPUMemory() []GPUMemory {
	return []GPUMemory{
		{"gh200", 96},
		{"h100", 80},
		{"a100 80gb", 80},
		{"a100 40gb", 40},
		{"a100 20gb", 20},
		{"a100", 40},
		{"l40s", 48},
		{"a40", 48},
		{"v100", 32},
		{"5090", 32},
		{"4090", 24},
		{"3090", 24},
		{"a10", 24},
		{"t4", 16},
	}
}

// GPUMemoryOf returns the memory of a card, if it is in the table.
func (r *Rules) GPUMemoryOf(name string) Maybe[int] {
	if name == "" {
		return Maybe[int]{}
	}
	for _, gpu := range r.policy.GPUMemoryGigabytes {
		if hasWords(name, gpu.Name) {
			return Known(gpu.Gigabytes)
		}
	}
	return Maybe[int]{}
}

func hasWords(text, words string) bool {
	text = lower(text)
	for word := range strings.FieldsSeq(lower(words)) {
		if !hasWord(text, word) {
			return false
		}
	}
	return true
}

// hasWord reports whether text has a word that is not part of a longer run of letters or of
// digits: "rtx4090" has the word "4090", "a100" has not the word "a10".
func hasWord(text, word string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return false
		}
		at += from
		end := at + len(word)
		if (at == 0 || kindOf(text[at-1]) != kindOf(word[0]) || kindOf(word[0]) == other) &&
			(end == len(text) || kindOf(text[end]) != kindOf(word[len(word)-1]) || kindOf(text[end]) == other) {
			return true
		}
		from = at + 1
	}
}

type letterKind int

const (
	other letterKind = iota
	letter
	digit
)

func kindOf(c byte) letterKind {
	switch {
	case c >= '0' && c <= '9':
		return digit
	case c >= 'a' && c <= 'z':
		return letter
	}
	return other
}
