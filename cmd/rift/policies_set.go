package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/wiring"
	policycmd "github.com/ringrift/rift/commands/policy"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/transport"
)

// policySetFlags are the flags of policies set.
type policySetFlags struct {
	name, reason, key string
	expect            string
	dry               bool
	preset            string
}

func newPolicySet(a *app) *cobra.Command {
	var flags policySetFlags
	c := &cobra.Command{
		Use:   "set KEY=VALUE…",
		Short: "Change numbers of a document, all of them or none",
		Long: `Changes numbers of a policy document in one event. Whoever decides from then on
decides by them; the past keeps its own. A value is JSON, a word, or for a number
of seconds a duration such as 90s or 2h.

The change holds for the version it was made for: that named with --expect, else
the one in force when the command starts. If somebody changes the document in
between, nothing is changed and the exit code is 3.`,
		Example: `  rift policies set work.lease_seconds=90s --reason "slow disks"
  rift policies set work.soft_limit=800 work.hard_limit=2000 --reason "twelve configs" --dry-run
  rift policies set --preset win-rate --reason "as it always was"
  rift policies set nodes.heartbeat_seconds=10 --reason test --expect default@3`,
		Args: func(c *cobra.Command, words []string) error {
			if len(words) == 0 && flags.preset == "" {
				return usagef("%s: want at least one KEY=VALUE, found no arguments", c.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: completePolicyKeys,
		RunE: func(c *cobra.Command, words []string) error {
			change, err := presetChange(flags.preset, words)
			if err != nil {
				return err
			}
			return a.setPolicy(c, change, flags)
		},
	}
	set := c.Flags()
	set.StringVar(&flags.name, "name", domain.PolicyDefaultName, "the document")
	set.StringVar(&flags.preset, "preset", "", "the numbers of a preset of promotion: "+strings.Join(presets(), ", "))
	set.StringVar(&flags.reason, "reason", "", "why, for the log")
	set.StringVar(&flags.expect, "expect", "", "refuse unless this version is in force: 3, or default@3 (default: the one in force now)")
	set.StringVar(&flags.key, "idempotency-key", "", "id of this command: the same key gives the first answer again")
	set.BoolVar(&flags.dry, "dry-run", false, "store nothing; say what would change, or why it would be refused")
	return c
}

// presetChange returns the change of a preset, or the one given as KEY=VALUE words.
func presetChange(name string, words []string) (json.RawMessage, error) {
	if name == "" {
		return policyChange(words)
	}
	preset, known := training.FindPreset(name)
	switch {
	case !known:
		return nil, usagef("--preset: want one of %s, found %q", strings.Join(presets(), ", "), name)
	case len(words) > 0:
		return nil, usagef("--preset: want it alone, and KEY=VALUE in a change after it")
	}
	return preset.Change, nil
}

// policyChange turns KEY=VALUE words into the object of a change.
func policyChange(words []string) (json.RawMessage, error) {
	change := map[string]any{}
	seen := map[string]bool{}
	var faults []domain.Fault
	for _, word := range words {
		key, text, given := strings.Cut(word, "=")
		switch {
		case !given || key == "":
			faults = append(faults, domain.Fault{Field: word, Reason: "want KEY=VALUE"})
			continue
		case seen[key]:
			faults = append(faults, domain.Fault{Field: key, Reason: "given twice"})
			continue
		}
		seen[key] = true
		at, parts := change, strings.Split(key, ".")
		for _, part := range parts[:len(parts)-1] {
			inner, ok := at[part].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[parts[len(parts)-1]] = policyValue(key, text)
	}
	if len(faults) > 0 {
		return nil, domain.Faulty("policies set", faults)
	}
	encoded, err := json.Marshal(change)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "policies set: %w", err)
	}
	return encoded, nil
}

// policyValue decodes a value: JSON, a duration, or a word.
func policyValue(key, text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	if strings.HasSuffix(key, "_seconds") {
		if d, err := time.ParseDuration(text); err == nil {
			encoded, _ := json.Marshal(d.Seconds()) // a finite number always encodes
			return encoded
		}
	}
	encoded, _ := json.Marshal(text) // a string always encodes
	return encoded
}

func (a *app) setPolicy(c *cobra.Command, change json.RawMessage, flags policySetFlags) error {
	p, client, err := a.printerAndClient(c)
	if err != nil {
		return err
	}
	expected, err := flags.expected(c, client)
	if err != nil {
		return err
	}
	body, err := json.Marshal(policycmd.SetPolicy{Name: flags.name, Change: change, Reason: flags.reason, ExpectedVersion: &expected})
	if err != nil {
		return domain.Errorf(domain.Internal, "policies set: %w", err)
	}
	options := []transport.CallOption{transport.ID(flags.key)}
	if flags.dry {
		options = append(options, transport.Dry())
	}
	answer, err := client.do(c.Context(), "policies.set", body, options...)
	if err != nil {
		return advisePolicy(err, flags.name)
	}
	set, err := decode[struct {
		policycmd.Set
		Refused *struct {
			Code   domain.Code    `json:"code"`
			Detail string         `json:"detail"`
			Faults []domain.Fault `json:"faults"`
		} `json:"refused"`
	}](answer)
	if err != nil {
		return err
	}
	if refused := set.Refused; refused != nil { // a dry run returns the refusal that the change itself would get
		err := domain.Errorf(refused.Code, "%s", refused.Detail)
		if len(refused.Faults) > 0 {
			err = domain.Faulty("policies.set", refused.Faults)
		}
		return advisePolicy(err, flags.name)
	}
	if p.Format == output.JSON {
		return p.Print(output.Listing{Doc: answer})
	}
	l := differenceListing(answer, "before", "after", set.Changes)
	l.Empty = "nothing to change: " + set.Version + " reads like this already"
	switch {
	case len(set.Changes) == 0:
	case flags.dry:
		l.Above = "dry run: nothing was stored. It would become " + set.Version + ":\n"
	default:
		l.Above = set.Version + " is in force\n"
	}
	return p.Print(l)
}

func advisePolicy(err error, name string) error {
	switch domain.CodeOf(err) {
	case domain.Conflict:
		return hinted(err, "`rift policies history %s` says who changed what; then set it again", name)
	case domain.Invalid:
		return hinted(err, "`rift policies show` lists every key with its meaning; nothing was changed")
	default:
		return err
	}
}

// expected returns the version that a change is based on.
func (f policySetFlags) expected(c *cobra.Command, client *client) (int, error) {
	asked := url.Values{"name": {f.name}}
	if f.expect != "" {
		asked.Set("version", f.expect)
	}
	answer, err := client.ask(c.Context(), "policies.policy", asked)
	if domain.CodeOf(err) == domain.NotFound {
		return 0, hinted(err, noPolicy)
	}
	if err != nil {
		return 0, err
	}
	found, err := decode[policyview.Answer](answer)
	if err != nil {
		return 0, err
	}
	version, err := domain.ParsePosition(found.Version[strings.LastIndexByte(found.Version, '@')+1:])
	return int(version), err
}

func newPolicyDiff(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "diff VERSION [VERSION]",
		Short: "Show what two versions of a document have different",
		Long: `Shows the numbers that two versions of a policy document have different. A
version is default@3, or default for the one in force; defaults are the built-in
numbers (default@0). One version alone is held against the one in force.`,
		Example: `  rift policies diff default@3 default@5
  rift policies diff defaults
  rift policies diff default@3 -o json`,
		Args: func(c *cobra.Command, words []string) error {
			if len(words) < 1 || len(words) > 2 {
				return usagef("%s: want one or two versions such as default@3, found %d arguments", c.CommandPath(), len(words))
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions([]string{"defaults", domain.PolicyDefaultName, domain.PolicyDefaultName + "@"}, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace),
		RunE: func(c *cobra.Command, words []string) error {
			p, client, err := a.printerAndClient(c)
			if err != nil {
				return err
			}
			if len(words) == 1 {
				words = append(words, domain.PolicyDefaultName)
			}
			return client.diffPolicies(c, p, words[0], words[1])
		},
	}
}

func (c *client) diffPolicies(ran *cobra.Command, p *output.Printer, one, other string) error {
	names := make([]string, 2)
	documents := make([]domain.Policy, 2)
	for i, word := range []string{one, other} {
		name, version, _ := strings.Cut(strings.TrimPrefix(word, "policy-"), "@")
		if word == "defaults" {
			name, version = domain.PolicyDefaultName, "0"
		}
		asked := url.Values{"name": {name}}
		set(asked, "version", version)
		answer, err := c.ask(ran.Context(), "policies.policy", asked)
		if domain.CodeOf(err) == domain.NotFound {
			return hinted(err, noPolicy)
		}
		if err != nil {
			return err
		}
		found, err := decode[policyview.Answer](answer)
		if err != nil {
			return err
		}
		names[i] = strings.TrimPrefix(found.Version, "policy-")
		if err := json.Unmarshal(found.Policy, &documents[i]); err != nil {
			return unreadable(err)
		}
	}
	differences, err := wiring.Sections().Differences(documents[0], documents[1])
	if err != nil {
		return err
	}
	doc := map[string]any{"from": names[0], "to": names[1], "differences": differences}
	l := differenceListing(doc, names[0], names[1], differences)
	l.Empty = names[0] + " and " + names[1] + " read the same"
	if names[0] == names[1] {
		l.Empty = names[0] + " is the one in force; name another version: rift policies diff default@1"
	}
	return p.Print(l)
}
