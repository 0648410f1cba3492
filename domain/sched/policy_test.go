package sched_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/ringrift/rift/domain/sched"
)

func TestDefaultPolicyHasNoFaults(t *testing.T) {
	if faults := sched.DefaultPolicy().Faults(); len(faults) > 0 {
		t.Fatalf("want none, found %v", faults)
	}
}

func TestPolicySurvivesJSON(t *testing.T) {
	text, err := json.Marshal(sched.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	var back sched.Policy
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, sched.DefaultPolicy()) {
		t.Errorf("want what was written, found %s", text)
	}
	if strings.Contains(string(text), `"Type"`) {
		t.Errorf("a field has no name of its own: %s", text)
	}
}

func TestPolicyFaults(t *testing.T) {
	minus := -1
	for field, spoil := range map[string]func(*sched.Policy){
		"classes":                         func(p *sched.Policy) { p.Classes = nil },
		"classes[1].name":                 func(p *sched.Policy) { p.Classes[1].Name = p.Classes[0].Name },
		"classes[0].starve_after_seconds": func(p *sched.Policy) { p.Classes[0].StarveAfterSeconds = 0 },
		"other_class":                     func(p *sched.Policy) { p.OtherClass = "none" },
		"types[0].type":                   func(p *sched.Policy) { p.Types[0].Type = "" },
		"types[2].class":                  func(p *sched.Policy) { p.Types[2].Class = "none" },
		"types[0].slots":                  func(p *sched.Policy) { p.Types[0].Slots = 0 },
		"types[0].gpu_memory_gb":          func(p *sched.Policy) { p.Types[0].GPUMemoryGB = -1 },
		"types[0].pending_cap":            func(p *sched.Policy) { p.Types[0].PendingCap = &minus },
		"types[0].running_cap":            func(p *sched.Policy) { p.Types[0].RunningCap = &minus },
		"weights[0].weight":               func(p *sched.Policy) { p.Weights[0].Weight = 0 },
		"weights[1].config_key":           func(p *sched.Policy) { p.Weights[1].Config = p.Weights[0].Config },
		"default_weight":                  func(p *sched.Policy) { p.DefaultWeight = 1_000_001 },
		"reserved_every":                  func(p *sched.Policy) { p.ReservedEvery = 1 },
		"default_slots":                   func(p *sched.Policy) { p.DefaultSlots = 0 },
		"preempt_margin":                  func(p *sched.Policy) { p.PreemptMargin = -1 },
		"disk_halt_percent":               func(p *sched.Policy) { p.DiskHaltPercent = 0 },
		"gpu_busy_percent":                func(p *sched.Policy) { p.GPUBusyPercent = 102 },
		"node_policies[0].name":           func(p *sched.Policy) { p.NodePolicies[0].Name = "" },
		"node_policies[0]":                func(p *sched.Policy) { p.NodePolicies[0].Contains = nil },
		"node_policies[1]":                func(p *sched.Policy) { p.NodePolicies[1].Prefixes = []string{""} },
		"node_policies[0].prefer":         func(p *sched.Policy) { p.NodePolicies[0].Prefer[0].Preference = 1001 },
		"node_policies[1].prefer":         func(p *sched.Policy) { p.NodePolicies[1].Deny = []string{"training"} },
		"cpu_only_prefixes[0]":            func(p *sched.Policy) { p.CPUOnlyPrefixes[0] = "" },
		"gpu_memory_gigabytes[0].name":    func(p *sched.Policy) { p.GPUMemoryGigabytes[0].Name = " " },
		"gpu_memory_gigabytes[3].gigabytes": func(p *sched.Policy) {
			p.GPUMemoryGigabytes[3].Gigabytes = 0
		},
		"pressure": func(p *sched.Policy) { p.Pressure.Recovery = p.Pressure.Soft + 1 },
	} {
		policy := sched.DefaultPolicy()
		spoil(&policy)
		faults := policy.Faults()
		if len(faults) == 0 || faults[0].Field != field {
			t.Errorf("%s: want it named, found %v", field, faults)
		}
		if _, err := sched.Compile(policy); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: want a refusal that names it, found %v", field, err)
		}
	}
}

// The matcher finds the policy that a plain reading of the table finds, for any
// id, and letters of either case are alike.
func FuzzNodePolicy(f *testing.F) {
	for _, id := range []string{"", "gpu-h100-1", "GH200", "vast-cpu-1", "vast-3", "x-cpu-y", "mac-", "mac", "192-168-0-1", "H\x00100", "ſ-A100", "K", "\xff-cpu-\xfe"} {
		f.Add(id)
	}
	rules, err := sched.Compile(sched.DefaultPolicy())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id string) {
		policy, found := rules.NodePolicy(id)
		if !found {
			t.Fatalf("node %q: no policy, though one matches any", id)
		}
		folded := []byte(id)
		for i, c := range folded {
			if c < unicode.MaxASCII {
				folded[i] = byte(unicode.ToLower(rune(c)))
			}
		}
		want := ""
		for _, candidate := range sched.DefaultPolicy().NodePolicies {
			matches := candidate.Any
			for at := range len(folded) + 1 {
				for _, part := range candidate.Contains {
					matches = matches || strings.HasPrefix(string(folded[at:]), part)
				}
			}
			for _, part := range candidate.Prefixes {
				matches = matches || len(folded) >= len(part) && string(folded[:len(part)]) == part
			}
			if matches {
				want = candidate.Name
				break
			}
		}
		if policy.Name != want {
			t.Errorf("node %q: want %s, found %s", id, want, policy.Name)
		}
		if upper, _ := rules.NodePolicy(strings.ToUpper(string(folded))); string(folded) == strings.ToLower(strings.ToUpper(string(folded))) && upper.Name != want {
			t.Errorf("node %q in capitals: want %s, found %s", id, want, upper.Name)
		}
		for _, kind := range sched.DefaultPolicy().Types {
			fits := rules.Fits(sched.Node{ID: id}, sched.Requirement{Type: kind.Type}, nil)
			denied := false
			for _, candidate := range policy.Deny {
				denied = denied || candidate == kind.Type
			}
			if fits == denied {
				t.Errorf("node %q, type %s: policy %s denies %v, and it fits %v though nothing else is known", id, kind.Type, want, denied, fits)
			}
		}
	})
}

// runs cuts a name where letters, digits and the rest meet.
func runs(name string) (list []string) {
	kind := func(c byte) int {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			return 1
		case '0' <= c && c <= '9':
			return 2
		}
		return 0
	}
	for i := range len(name) {
		if i > 0 && kind(name[i]) == kind(name[i-1]) && kind(name[i]) != 0 {
			list[len(list)-1] += string(name[i])
			continue
		}
		list = append(list, string(name[i]))
	}
	return list
}

// The lookup of cards finds whole runs of letters and digits, as a search
// through the runs does.
func FuzzGPUMemory(f *testing.F) {
	for _, name := range []string{"", "NVIDIA A100-SXM4-80GB", "rtx4090", "40900", "a10 a100", "t4\x00", "GH200", "1h100", "l40s", "A100 20GB"} {
		f.Add(name)
	}
	policy := sched.DefaultPolicy()
	rules, err := sched.Compile(policy)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		want := sched.Maybe[int]{}
		have := runs(name)
		for _, gpu := range policy.GPUMemoryGigabytes {
			all := name != ""
			for _, word := range strings.Fields(gpu.Name) {
				wanted, there := runs(word), false
				for at := 0; at+len(wanted) <= len(have); at++ {
					there = there || strings.EqualFold(strings.Join(have[at:at+len(wanted)], " "), strings.Join(wanted, " "))
				}
				all = all && there
			}
			if all && !want.Known {
				want = sched.Known(gpu.Gigabytes)
			}
		}
		if found := rules.GPUMemoryOf(name); found != want {
			t.Errorf("%q: want %+v, found %+v", name, want, found)
		}
	})
}
