package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	policyview "github.com/ringrift/rift/projections/policy"
)

const noPolicy = "`rift policies list` shows the documents there are, `rift policies history` their versions"

func newPolicies(a *app) *cobra.Command {
	c := group(a, "policies", "See and change the numbers that decide",
		`  rift policies show
  rift policies set work.lease_seconds=90s --reason "slow disks" --dry-run
  rift policies diff default@3 default@5`, policyEndpoints())
	c.AddCommand(newPolicySet(a), newPolicyDiff(a))
	for _, child := range c.Commands() {
		switch child.Name() {
		case "show", "history":
			child.ValidArgsFunction = cobra.FixedCompletions([]string{domain.PolicyDefaultName}, cobra.ShellCompDirectiveNoFileComp)
			child.Args = orDefaultPolicy(child.Args)
			inner := child.RunE
			child.RunE = func(c *cobra.Command, words []string) error { return inner(c, withDefaultPolicy(c, words)) }
		}
	}
	return c
}

// orDefaultPolicy makes the name of the document optional.
func orDefaultPolicy(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, words []string) error { return args(c, withDefaultPolicy(c, words)) }
}

func withDefaultPolicy(c *cobra.Command, words []string) []string {
	if len(words) == 0 && !c.Flags().Changed("name") {
		return []string{domain.PolicyDefaultName}
	}
	return words
}

func policyEndpoints() []endpoint {
	return []endpoint{
		{
			name: "list", short: "List the policy documents", route: "policies.list",
			example: "  rift policies list\n  rift policies list -o json", show: showPolicies,
		},
		{
			name: "show", short: "Show every number of a document, its default, its meaning and who changed it last", route: "policies.settings",
			args:    []string{"name"},
			example: "  rift policies show\n  rift policies show default --version 3 -o md\n  rift policies show --at 2026-03-06T14:02:11Z",
			help:    map[string]string{"name": "the document (default: default)", "version": "as it read in this version: 3, or default@3"},
			missing: noPolicy, show: showSettings,
		},
		{
			name: "history", short: "List the changes of a document, newest first", route: "policies.history",
			args:    []string{"name"},
			example: "  rift policies history\n  rift policies history --limit 5 -o wide",
			help: map[string]string{
				"name": "the document (default: default)", "before": "only versions before this one", "limit": "most versions to list (default 100)",
			},
			missing: noPolicy, empty: "nobody changed it yet: `rift policies set KEY=VALUE --reason …` does", show: asTable(policyHistoryTable),
		},
	}
}

func showPolicies(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[policyview.PoliciesAnswer](answer)
	if err != nil {
		return err
	}
	l := output.List(found.Policies, []output.ColumnOf[policyview.Line]{
		{Name: "name"},
		{Name: "version"},
		{Name: "differs"},
		{Name: "changed_at"},
		{Name: "actor"},
		{Name: "reason", Max: 60},
	})
	l.Doc = answer
	l.Below = "\nrift policies show NAME has every number, its default and its meaning"
	return p.Print(l)
}

// showSettings prints a document section by section.
func showSettings(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[policyview.SettingsAnswer](answer)
	if err != nil {
		return err
	}
	columns := []output.Column{
		{Name: "key"},
		{Name: "value", Right: true, Max: 40},
		{Name: "default", Right: true, Max: 40},
		{Name: "meaning", Max: 90},
		{Name: "version", Wide: true},
		{Name: "changed", Max: 40},
		{Name: "reason", Wide: true},
	}
	all := output.Listing{Doc: answer, Columns: columns}
	var sections []output.Listing
	for _, setting := range found.Settings {
		section, name, _ := strings.Cut(setting.Key, ".")
		changed, version, reason := "", "", ""
		if touch := setting.Changed; touch != nil {
			version, reason = touch.Version, touch.Reason
			changed = "version " + touch.Version[strings.LastIndexByte(touch.Version, '@')+1:] + " by " + orSomebody(touch.Actor)
		}
		standard := string(setting.Default)
		if standard == string(setting.Value) {
			standard = "" // the difference itself is printed
		}
		if n := len(sections); n == 0 || !strings.HasPrefix(sections[n-1].Above, section+": ") {
			sections = append(sections, output.Listing{Above: section + ": " + wiring.Sections().About(section), Columns: columns})
		}
		last := &sections[len(sections)-1]
		last.Rows = append(last.Rows, []any{name, string(setting.Value), standard, setting.About, version, changed, reason})
		all.Rows = append(all.Rows, []any{setting.Key, string(setting.Value), string(setting.Default), setting.About, version, changed, reason})
		all.Items = append(all.Items, setting)
	}
	if p.Format != output.Table && p.Format != output.Wide {
		return p.Print(all)
	}
	title := found.Version
	if found.Version == found.Latest {
		title += ", in force"
	} else {
		title += "; in force is " + found.Latest
	}
	if err := p.Line(title + ". A default stands where it differs."); err != nil {
		return err
	}
	for _, section := range sections {
		section.Above = "\n" + section.Above
		if err := p.Print(section); err != nil {
			return err
		}
	}
	return nil
}

func orSomebody(actor string) string {
	if actor == "" {
		return "somebody"
	}
	return actor
}

func policyHistoryTable(found policyview.HistoryAnswer) output.Listing {
	l := output.List(found.Versions, []output.ColumnOf[policyview.Change]{
		{Name: "version"},
		{Name: "time", Key: "at"},
		{Name: "actor"},
		{Name: "position", Wide: true},
		{Name: "changes", Max: 100, Value: func(version policyview.Change) any {
			var changes []string
			for _, change := range version.Changes {
				changes = append(changes, change.Key+" "+orAbsent(change.Before)+" → "+orAbsent(change.After))
			}
			return strings.Join(changes, "\n")
		}},
		{Name: "reason", Max: 60},
	})
	if found.Next > 0 {
		l.Below = "more: rift policies history --before " + output.Count(found.Next)
	}
	return l
}

func orAbsent(value json.RawMessage) string {
	if len(value) == 0 {
		return "(absent)"
	}
	return string(value)
}

// differenceListing shows the differences of two documents, or of a document before and
// after a change.
func differenceListing(doc any, before, after string, differences []domain.PolicyDifference) output.Listing {
	l := output.Listing{Doc: doc, Columns: []output.Column{
		{Name: "key"}, {Name: before, Right: true, Max: 40}, {Name: after, Right: true, Max: 40}, {Name: "meaning", Max: 90},
	}}
	for _, difference := range differences {
		l.Rows = append(l.Rows, []any{difference.Key, string(difference.Before), string(difference.After), wiring.Sections().About(difference.Key)})
		l.Items = append(l.Items, difference)
	}
	return l
}

// completePolicyKeys completes the keys of the document, each with its meaning.
func completePolicyKeys(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	if strings.Contains(typed, "=") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	settings, err := wiring.Sections().Settings(domain.Policy{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var keys []string
	for _, setting := range settings {
		if strings.HasPrefix(setting.Key, typed) {
			keys = append(keys, cobra.CompletionWithDesc(setting.Key+"=", wiring.Sections().About(setting.Key)))
		}
	}
	slices.Sort(keys)
	return keys, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
