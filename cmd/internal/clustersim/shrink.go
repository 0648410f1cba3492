package clustersim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// violationKind returns the first words of a violation without its time, with # for every
// word that has a digit, so that two runs which break the same rule compare equal.
func violationKind(text string) string {
	if _, rest, after := strings.Cut(text, ": "); after && strings.HasPrefix(text, "after ") {
		text = rest
	}
	words := strings.Fields(text)
	words = words[:min(len(words), 6)]
	for i, word := range words {
		if strings.ContainsFunc(word, unicode.IsDigit) {
			words[i] = "#"
		}
	}
	return strings.Join(words, " ")
}

// shrink looks for a smaller plan that ends with the same kind of violation: fewer items,
// then fewer faults, then less time after the last fault, then shorter faults.
func shrink(ctx context.Context, r Report) (Report, error) {
	wanted := violationKind(r.Broken[0])
	try := func(p Plan) (bool, error) {
		again, err := Run(ctx, p)
		if err != nil || !slices.ContainsFunc(again.Broken, func(text string) bool { return violationKind(text) == wanted }) {
			return false, err
		}
		r = again
		return true, nil
	}
	for _, items := range []int{1, r.Items / 8, r.Items / 2} {
		if items < 1 || items >= r.Items {
			continue
		}
		p := r.Plan
		p.Items, p.Nodes = items, min(p.Nodes, len(p.voters)+len(p.learner)+2)
		if done, err := try(p); done || err != nil {
			if err != nil {
				return r, err
			}
			break
		}
	}
	for before := len(r.Faults) + 1; len(r.Faults) < before; {
		before = len(r.Faults)
		for size := (before + 1) / 2; size > 0; size /= 2 {
			for end := len(r.Faults); end > 0; end -= size {
				if _, err := try(r.Plan.withFaults(slices.Delete(slices.Clone(r.Faults), max(end-size, 0), end))); err != nil {
					return r, err
				}
			}
		}
	}
	if n := len(r.Faults); n > 0 {
		p := r.Plan
		p.Span = min(p.Span, r.Faults[n-1].At.Truncate(time.Hour)+2*time.Hour)
		if _, err := try(p); err != nil {
			return r, err
		}
	}
	for i := range r.Faults {
		for _, most := range []time.Duration{5 * time.Second, time.Minute} {
			faults := slices.Clone(r.Faults)
			if faults[i].For <= most {
				break
			}
			faults[i].For = most
			if shorter, err := try(r.Plan.withFaults(faults)); shorter || err != nil {
				if err != nil {
					return r, err
				}
				break
			}
		}
	}
	return r, nil
}

// Script returns the golden script that plays the plan: its faults at their times, and
// the violations as the expected output of the audit.
func (p Plan) Script(broken []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Seed %d, with the faults that it takes.\n", p.Seed)
	names := make([]string, len(p.voters))
	for i, name := range p.voters {
		names[i] = string(name)
	}
	fmt.Fprintf(&b, "cluster %s", strings.Join(names, " "))
	for _, name := range p.learner {
		fmt.Fprintf(&b, " learner=%s", name)
	}
	fmt.Fprintf(&b, " seed=%d nodes=%d items=%d span=%v", p.Seed, p.Nodes, p.Items, p.Span)
	if p.Breaks != "" {
		fmt.Fprintf(&b, " breaks=%s", p.Breaks)
	}
	fmt.Fprint(&b, "\n----\n")
	at := time.Duration(0)
	for _, f := range p.Faults {
		if f.At > at {
			fmt.Fprintf(&b, "\ntick %v\n----\n", f.At-at)
			at = f.At
		}
		fmt.Fprintf(&b, "\n%s\n----\n", f)
	}
	fmt.Fprintf(&b, "\naudit\n----\n")
	for _, text := range broken {
		fmt.Fprintln(&b, "broken: "+text)
	}
	return b.String()
}
