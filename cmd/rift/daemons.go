package main

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	nodesview "github.com/ringrift/rift/projections/nodes"
	trainingview "github.com/ringrift/rift/projections/training"
)

func newDaemons(a *app) *cobra.Command {
	return alone(a, endpoint{
		name: "daemons", short: "List the background processes of the nodes", route: "daemons.list",
		long: `Lists the background processes that the nodes' supervisors report on, with how
often each was restarted, whether it is in a crash loop, and how long its
supervisor should wait before the next restart.`,
		example: "  rift daemons\n  rift daemons --node gpu-7\n  rift daemons --status crashed -o json",
		help: map[string]string{
			"node": "only those of this node", "status": "only these: running, crashed, failed, stuck, …",
			"from": "begin at this <node>:<name>", "limit": "most to list (default 100)",
		},
		empty: "no daemons: they are reported as DAEMON_STATUS_CHANGED through POST /events", show: showDaemons,
	})
}

func showDaemons(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[nodesview.DaemonsAnswer](answer)
	if err != nil {
		return err
	}
	slices.SortStableFunc(found.Daemons, func(a, b nodesview.DaemonAnswer) int { return cmp.Compare(daemonTrouble(b), daemonTrouble(a)) })
	l := output.List(found.Daemons, []output.ColumnOf[nodesview.DaemonAnswer]{
		{Name: "node_id"},
		{Name: "daemon", Key: "daemon_name"},
		{Name: "status"},
		{Name: "for", Value: func(row nodesview.DaemonAnswer) any { return sinceNow(p, row.Since) }},
		{Name: "restarts"},
		{Name: "in_window", Key: "restarts_in_window"},
		{Name: "loop_since", Key: "crash_loop_since"},
		{Name: "backoff_s", Right: true, Value: func(row nodesview.DaemonAnswer) any { return float64(row.BackoffSeconds) }},
		{Name: "restart_at"},
		{Name: "last_error", Max: 50},
		{Name: "critical", Wide: true},
		{Name: "tier", Wide: true, Key: "backoff_tier"},
		{Name: "reason", Wide: true},
		{Name: "position", Wide: true},
	})
	l.Doc, l.Empty = answer, e.empty
	if found.Next != "" {
		l.Below = "more: rift daemons --from " + found.Next
	}
	return p.Print(l)
}

// daemonTrouble ranks daemons: one that crashes again and again, one that is down.
func daemonTrouble(row nodesview.DaemonAnswer) int {
	switch {
	case row.CrashLoopSince != nil:
		return 2
	case row.UpSince == nil:
		return 1
	}
	return 0
}

func newSyncs(a *app) *cobra.Command {
	return group(a, "syncs", "See copies of data, and how fresh the data is",
		"  rift syncs list --state running\n  rift syncs freshness", []endpoint{
			{
				name: "list", short: "List copies of data, the one last heard of first", route: "syncs.list",
				example: "  rift syncs list --state stalled\n  rift syncs list --config-key hex8_2p --limit 20",
				help: map[string]string{
					"state": "only these: running, stalled, completed, failed", "config_key": "only of this game", "node": "only to this node",
					"before": "go on where the last page ended", "limit": "most to list (default 100)",
				},
				empty: "no copies of data: they are reported as DATA_SYNC_STARTED and DATA_SYNC_COMPLETED through POST /events", show: asTable(syncsTable),
			},
			{
				name: "freshness", short: "Show how fresh the data of each game is", route: "syncs.freshness",
				example: "  rift syncs freshness\n  rift syncs freshness --config-key hex8_2p",
				help:    map[string]string{"config_key": "only of this game"},
				empty:   "no data has arrived yet", show: asTable(freshnessTable),
			},
		})
}

func syncsTable(found trainingview.SyncsAnswer) output.Listing {
	l := output.List(found.Syncs, []output.ColumnOf[trainingview.SyncRow]{
		{Name: "sync_id"},
		{Name: "state"},
		{Name: "node_id"},
		{Name: "type", Key: "sync_type"},
		{Name: "config_key"},
		{Name: "games", Key: "games_synced"},
		{Name: "started_at"},
		{Name: "ended_at"},
		{Name: "error", Max: 40},
		{Name: "files", Wide: true, Key: "files_synced"},
		{Name: "bytes", Wide: true, Key: "bytes_synced"},
		{Name: "failures", Wide: true},
		{Name: "position", Wide: true},
	})
	return more(l, "rift syncs list --before ", found.Next)
}

func freshnessTable(found trainingview.FreshnessAnswer) output.Listing {
	return output.List(found.Configs, []output.ColumnOf[trainingview.ConfigFreshness]{
		{Name: "config_key"},
		{Name: "freshness"},
		{Name: "age", Key: "age_seconds"},
		{Name: "syncs"},
		{Name: "games"},
		{Name: "files"},
		{Name: "bytes", Value: func(row trainingview.ConfigFreshness) any { return output.Bytes(row.Bytes) }},
		{Name: "last_sync"},
		{Name: "last_node"},
		{Name: "not_counted", Wide: true, Key: "games_unknown"},
		{Name: "last_at", Wide: true},
	})
}

// alone makes a command of an endpoint that is in no group.
func alone(a *app, e endpoint) *cobra.Command {
	c := newEndpoint(a, e)
	addClientFlags(c)
	return c
}

func newAlarms(a *app) *cobra.Command {
	return alone(a, endpoint{
		name: "alarms", short: "Show what has not happened for how long", route: "admin.alarms",
		long: `Shows how long ago work was last given out, completed, copied, exported, trained,
measured and promoted, and which silence is an alarm. Exits 2 when one is.`, judges: true,
		example: "  rift alarms\n  rift alarms -o json --at 2026-03-06T14:02:11Z", show: showAlarms,
	})
}

func showAlarms(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[nodesview.AlarmsAnswer](answer)
	if err != nil {
		return err
	}
	l := output.List(found.Alarms, []output.ColumnOf[nodesview.Silence]{
		{Name: "kind"},
		{Name: "state"},
		{Name: "silent_for", Key: "silent_seconds"},
		{Name: "limit", Value: func(row nodesview.Silence) any {
			if row.LimitSeconds <= 0 {
				return "off"
			}
			return row.LimitSeconds.Duration()
		}},
		{Name: "last_at"},
		{Name: "successes"},
		{Name: "last_position"},
		{Name: "raised_at", Wide: true},
		{Name: "demanded_at", Wide: true},
	})
	l.Doc = answer
	raised := 0
	for _, row := range found.Alarms {
		if row.RaisedAt != nil {
			raised++
		}
	}
	if err := p.Print(l); err != nil {
		return err
	}
	if raised > 0 {
		return &findings{raised, "raised alarm"}
	}
	return nil
}
