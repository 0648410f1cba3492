package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/domain"
)

func newAt(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "at POSITION|TIME QUERY…",
		Short: "Ask a question as of a past position or time",
		Long: `Runs a query of rift work, nodes or admin against the state as it was: the same
answer in the same form as live, as of then.`,
		Example: `  rift at 48211 work show t-91
  rift at 2026-03-06T14:02:11Z nodes list --state unhealthy -o json`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("%s: want a position or a time, and a query", c.CommandPath())
			}
			if _, err := domain.ParsePosition(args[0]); err != nil {
				if _, err := time.Parse(time.RFC3339Nano, args[0]); err != nil {
					return usagef("%s: want a position such as 48211 or a time such as 2026-03-06T14:02:11Z, found %q", c.CommandPath(), args[0])
				}
			}
			root := newRoot(a)
			asked, _, err := root.Find(args[1:])
			if err != nil || asked.Flags().Lookup("at") == nil {
				return hinted(usagef("%s: %q asks nothing of a past state", c.CommandPath(), strings.Join(args[1:], " ")), "queries are, for example: work show, work list, work status, work explain, nodes list, nodes show")
			}
			root.SetArgs(append(append([]string{}, args[1:]...), "--at", args[0]))
			return root.ExecuteContext(c.Context())
		},
	}
	c.Flags().SetInterspersed(false)
	return c
}
