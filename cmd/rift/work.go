package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	workview "github.com/ringrift/rift/projections/work"
)

// noItem is the advice for an unknown item.
const noItem = "`rift work list` shows the items there are"

var leaseHelp = map[string]string{
	"task_id": "the item",
	"lease":   "number of the lease, as the claim answered it",
	"node_id": "the node that holds it; checked when given",
}

func newWork(a *app) *cobra.Command {
	c := group(a, "work", "Add, claim and finish work items",
		`  rift work add selfplay --config-key hex8_2p
  rift work claim gpu-7
  rift work complete t-1 1 --result '{"games":200}'
  rift work explain --task t-1`, workEndpoints())
	c.AddCommand(newWorkRetry(a))
	return c
}

func workEndpoints() []endpoint { return slices.Concat(workCommands(), workReports(), workQueries()) }

func workCommands() []endpoint {
	return []endpoint{
		{
			name: "add", short: "Queue an item", route: "work.add", args: []string{"task_type"}, needs: 1,
			example: `  rift work add selfplay --config-key hex8_2p --priority 80
  rift work add training --depends-on t-1,t-2 --requires gpu --timeout-seconds 2h
  rift work add training --task-id t-9b --replaces t-9
  rift work add selfplay --payload @job.json --idempotency-key nightly-17
  echo '{"task_type":"selfplay"}' | rift work add --json -
  rift work add --file items.jsonl --priority 80`,
			help: map[string]string{
				"task_id": "name of the item (default: made up)", "task_type": "what kind of work it is: selfplay, training, gauntlet, …",
				"config_key": "board and players it is for: hex8_2p", "priority": "0 to 100, larger first",
				"payload": "what the worker gets, JSON or @FILE", "depends_on": "items that must be done first",
				"requires": "capabilities a node must have, all of them", "timeout_seconds": "bound on one attempt: 90m, or seconds",
				"max_attempts": "attempts before it is dead", "unique_key": "refused while another live item has this key",
				"replaces":     "a dead or cancelled item: this one, once done, unblocks what waits for it",
				"where":        `which nodes may have it: 'gpu.memory_gb >= 24 && "cuda" in capabilities'`,
				"requires_gpu": "a CUDA GPU, whatever its type says", "force": "past the limits of the queue's length",
				"pin.node_id": "the only node that may have it, for a while", "pin.until": "when any node may have it (default: the policy's while)",
				"exclude": `nodes that may not have it: '[{"node_id":"gpu-7","until":"…"}]'`,
			},
			many: &many{route: "work.add_batch", taken: "added", refused: "not_added"},
			show: showStored,
		},
		{
			name: "cancel", short: "Stop an item for good", route: "work.cancel", args: []string{"task_id"}, needs: 1,
			example: `  rift work cancel t-1 --reason "wrong model"`,
			help:    map[string]string{"task_id": "the item", "reason": "why"}, missing: noItem, show: showStored,
		},
		{
			name: "add-batch", short: "Queue many items, each by itself or all or nothing", route: "work.add_batch",
			example: `  rift work add-batch --items '[{"task_type":"selfplay"},{"task_type":"training"}]'
  rift work add-batch --items @tonight.json --atomic`,
			help:   map[string]string{"items": "a list of items as `rift work add --json` takes them, JSON or @FILE", "atomic": "one that is refused refuses all"},
			judges: true, show: showBatch,
		},
		{
			name: "cancel-batch", short: "Stop the items of a class for good", route: "work.cancel_batch",
			example: `  rift work cancel-batch --task-type tournament --config-key hex8_2p --reason "wrong model" --dry-run
  rift work cancel-batch --batch nightly-17`,
			help: map[string]string{
				"task_type": "only this type of work", "config_key": "only of this config", "state": "only these: blocked, queued, waiting, leased, running",
				"batch": "only those that one command added together", "reason": "why", "limit": "most items to cancel (default: as many as one command may)",
			},
			show: showStored,
		},
	}
}

// workReports are the commands that a worker sends.
func workReports() []endpoint {
	lease := []string{"task_id", "lease"}
	return []endpoint{
		{
			name: "claim", short: "Take items for a node", route: "work.claim", args: []string{"node_id"}, needs: 1,
			example: `  rift work claim gpu-7
  rift work claim gpu-7 --capabilities selfplay,gpu --limit 4
  rift work claim gpu-7 --wait 30s`,
			empty: "nothing for {node_id}: `rift work explain --node {node_id}` says why",
			show:  showClaimed,
		},
		{
			name: "start", short: "Say that work on an item began", route: "work.start", args: lease, needs: 2,
			example: "  rift work start t-1 3", help: leaseHelp, missing: noItem, show: showStored,
		},
		{
			name: "heartbeat", short: "Keep a lease alive", route: "work.heartbeat", args: lease, needs: 2,
			example: `  rift work heartbeat t-1 3 --progress '{"games":40}'
  rift work heartbeat t-1:3 t-2:1 t-3:1`,
			help: with(leaseHelp, "progress", "how far it is, JSON or @FILE"), missing: noItem, show: showStored,
			many: &many{route: "work.heartbeat_batch", taken: "beaten", refused: "not_beaten", pairs: true, all: true},
		},
		{
			name: "complete", short: "Report an item done", route: "work.complete", args: lease, needs: 2,
			example: `  rift work complete t-1 3 --result '{"games":200}'
  rift work complete t-1 3 --result @result.json
  rift work complete t-1:3 t-2:1 t-3:1
  rift work complete --file results.jsonl --node-id gpu-7`,
			help: with(leaseHelp, "result", "what came of it, JSON or @FILE"), missing: noItem, show: showStored,
			many: &many{route: "work.complete_batch", taken: "completed", refused: "not_completed", pairs: true},
		},
		{
			name: "fail", short: "Report that an attempt failed", route: "work.fail", args: lease, needs: 2,
			example: `  rift work fail t-1 3 --error "out of memory"
  rift work fail t-1 3 --error "no such model" --retryable=false
  rift work fail t-1:3 t-2:1 --error "the disk is full"`,
			help: with(with(leaseHelp, "error", "what went wrong"), "retryable", "whether another attempt may help (default true)"), missing: noItem, show: showStored,
			many: &many{route: "work.fail_batch", taken: "failed", refused: "not_failed", pairs: true},
		},
		{
			name: "release", short: "Give an item back unfinished; no attempt is spent", route: "work.release", args: lease, needs: 2,
			example: `  rift work release t-1 3 --reason "node is shutting down"`,
			help:    with(leaseHelp, "reason", "why"), missing: noItem, show: showStored,
		},
	}
}

func workQueries() []endpoint {
	return []endpoint{
		{
			name: "depths", short: "Show how many items are on their way, beside the targets", route: "work.depths",
			example: "  rift work depths --type selfplay\n  rift work depths --config-key hex8_2p -o csv",
			help:    map[string]string{"type": "only this type of work", "config_key": "only this config"},
			empty:   "nothing is on its way, and no target is set", show: asTable(depthsTable),
		},
		{
			name: "speeds", short: "Show the throughput that was measured, and the sizes that follow from it", route: "work.speeds",
			example: "  rift work speeds --type selfplay\n  rift work speeds --config-key hex8_2p -o csv",
			help:    map[string]string{"type": "only this type of work", "config_key": "only this config"},
			empty:   "nothing was measured: items of a type under `work.sizing` are, when their result says units or games", show: asTable(speedsTable),
		},
		{
			name: "show", short: "Show one item", route: "work.item", args: []string{"id"}, needs: 1,
			example: "  rift work show t-1\n  rift work show t-1 --at 2026-03-06T14:02:11Z",
			help:    map[string]string{"id": "the item"}, missing: noItem, show: showItem,
		},
		{
			name: "list", short: "List items by name", route: "work.items",
			example: "  rift work list --state queued\n  rift work list --node gpu-7 -o csv",
			help: map[string]string{
				"state": "only these: " + strings.Join(stateNames(), ", "), "type": "only this type of work", "config_key": "only of this config",
				"node": "only those this node holds or held last", "from": "begin at this name", "limit": "most items to list (default 100)",
			},
			empty: "no items: `rift work add selfplay` queues one", show: showItems,
		},
		{
			name: "history", short: "List items that ended, newest first", route: "work.history",
			example: "  rift work history --limit 20", help: map[string]string{
				"state": "only these: done, dead, cancelled, expired", "type": "only this type of work", "config_key": "only of this config",
				"node": "only those this node held last", "batch": "only those that one command added together",
				"since": "ended at this moment or later: 2026-03-06T14:02:11Z", "until": "ended before this moment",
				"before": "go on where the last page ended", "limit": "most items to list (default 100)",
			},
			empty: "no item has ended yet", show: showItems,
		},
		{
			name: "status", short: "Show the queue in numbers", route: "work.status",
			example: "  rift work status\n  rift work status --at 48211\n  rift work status --watch --type selfplay", show: showWorkStatus,
			extend: addWatch,
		},
		{
			name: "explain", short: "Say why an item is not running, or why a node gets nothing", route: "work.explain", args: []string{"task"},
			example: "  rift work explain t-91\n  rift work explain --node gpu-7",
			help:    map[string]string{"task": "the item to explain", "node": "the node to explain"}, missing: noItem, show: showExplained,
		},
	}
}

func stateNames() []string {
	names := make([]string, len(work.TaskStates))
	for i, state := range work.TaskStates {
		names[i] = string(state)
	}
	return names
}

// with adds an entry to help texts.
func with(help map[string]string, key, text string) map[string]string {
	more := maps.Clone(help)
	more[key] = text
	return more
}

func showClaimed(p *output.Printer, answer json.RawMessage, e endpoint) error {
	claimed, err := decode[struct {
		Items []workcmd.ClaimedTask `json:"items"`
	}](answer)
	if err != nil {
		return err
	}
	raw, err := decode[struct {
		Items []json.RawMessage `json:"items"`
	}](answer)
	if err != nil {
		return err
	}
	l := output.List(claimed.Items, []output.ColumnOf[workcmd.ClaimedTask]{
		{Name: "task_id"},
		{Name: "lease", Format: "%d"},
		{Name: "task_type"},
		{Name: "config_key"},
		{Name: "attempt"},
		{Name: "deadline"},
		{Name: "payload", Max: 60},
	})
	l.Doc, l.Items, l.Empty = answer, asItems(raw.Items), e.empty
	switch n := len(claimed.Items); {
	case n == 1:
		l.Below = "\nfinish with: rift work complete " + string(claimed.Items[0].TaskID) + " " + strconv.FormatUint(claimed.Items[0].Lease, 10)
	case n > 1:
		l.Below = "\nfinish with: rift work complete"
		for _, item := range claimed.Items[:min(n, 4)] {
			l.Below += fmt.Sprintf(" %s:%d", item.TaskID, item.Lease)
		}
	}
	return p.Print(l)
}

func showItem(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[workview.TaskAnswer](answer)
	if err != nil {
		return err
	}
	fields, err := topLevel(found.Item)
	if err != nil {
		return err
	}
	return p.Fields(answer, fields...)
}

func showItems(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[workview.TasksAnswer](answer)
	if err != nil {
		return err
	}
	rows, err := decodeAll[workview.TaskRow](found.Items)
	if err != nil {
		return err
	}
	l := output.List(rows, []output.ColumnOf[workview.TaskRow]{
		{Name: "task_id"},
		{Name: "state"},
		{Name: "task_type"},
		{Name: "config_key"},
		{Name: "priority"},
		{Name: "attempts"},
		{Name: "lease", Right: true, Value: func(row workview.TaskRow) any {
			if row.Lease == 0 {
				return nil
			}
			return strconv.FormatUint(row.Lease, 10)
		}},
		{Name: "node_id"},
		{Name: "deadline"},
		{Name: "error", Max: 40},
		{Name: "created_at", Wide: true},
		{Name: "updated_at", Wide: true},
		{Name: "max_attempts", Wide: true},
		{Name: "requires", Wide: true},
		{Name: "position", Wide: true},
	})
	l.Doc, l.Items, l.Empty = answer, asItems(found.Items), e.empty
	if found.Next != "" {
		more := "--from "
		if e.name == "history" {
			more = "--before "
		}
		l.Below = "more: rift work " + e.name + " " + more + found.Next
	}
	return p.Print(l)
}

func showWorkStatus(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	status, err := decode[struct {
		Position domain.Position `json:"position"`
		workview.StatusAnswer
	}](answer)
	if err != nil {
		return err
	}
	l := output.Listing{Doc: answer, Columns: []output.Column{{Name: "task_type"}}, Empty: "no items yet: `rift work add selfplay` queues one"}
	var states []string
	for _, state := range work.TaskStates {
		if status.ByState[string(state)] > 0 {
			states = append(states, string(state))
			l.Columns = append(l.Columns, output.Column{Name: string(state), Right: true})
		}
	}
	l.Columns = append(l.Columns, output.Column{Name: "all", Right: true})
	line := func(name string, counts map[string]int, all int) {
		row := []any{name}
		for _, state := range states {
			row = append(row, counts[state])
		}
		l.Rows = append(l.Rows, append(row, all))
	}
	total := 0
	for _, taskType := range slices.Sorted(maps.Keys(status.ByType)) {
		line(taskType, status.ByTypeState[taskType], status.ByType[taskType])
		total += status.ByType[taskType]
	}
	if len(l.Rows) > 1 {
		line("all", status.ByState, total)
	}
	pressure := status.Backpressure
	l.Below = "back-pressure " + orNone(pressure.Level) + ": " + output.Count(pressure.Pending) + " pending, soft limit " +
		output.Count(pressure.SoftLimit) + ", hard limit " + output.Count(pressure.HardLimit) + "; as of position " + status.Position.String()
	return p.Print(l)
}

func orNone(word string) string {
	if word == "" {
		return "none"
	}
	return word
}

// sinceNow is the age of a time for people.
func sinceNow(p *output.Printer, at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return p.Now.Sub(at)
}
