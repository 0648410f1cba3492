package script

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// load appends a recorded log.
//
//	load incident.jsonl
func (env *Env) load(ctx context.Context, d *datadriven.TestData) (string, error) {
	if len(d.CmdArgs) == 0 {
		return "", domain.Errorf(domain.Invalid, "load: want a file")
	}
	return env.Load(ctx, d.CmdArgs[0].Key)
}

// Load appends recorded logs and sets the clock to the latest time in them.
func (env *Env) Load(ctx context.Context, files ...string) (string, error) {
	report, err := jsonl.ImportFiles(ctx, env.log, files, jsonl.ReadOptions{}, jsonl.ImportOptions{})
	if err != nil {
		return "", err
	}
	for e, err := range env.log.ReadAll(ctx, env.shown+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return "", err
		}
		if e.Time.After(env.now) {
			env.now = e.Time
		}
		env.shown = e.Position
	}
	return fmt.Sprintf("appended %d, there already %d\n", report.Appended, report.Duplicates), nil
}

// events shows a part of the log.
//
//	events [stream=task-t1] [type=TASK_CLAIMED] [meta]
func (env *Env) events(ctx context.Context, d *datadriven.TestData) (string, error) {
	var filter eventlog.Filter
	if stream, ok := argument(d, "stream"); ok {
		filter.Streams = []string{stream}
	}
	if eventType, ok := argument(d, "type"); ok {
		filter.Types = []string{eventType}
	}
	var b strings.Builder
	for e, err := range env.log.ReadAll(ctx, 1, eventlog.Forward, filter) {
		if err != nil {
			return "", err
		}
		fmt.Fprint(&b, e)
		if d.HasArg("meta") {
			meta, err := json.Marshal(e.Meta)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, " %s %s %s", e.ID, e.Time.Format(domain.Timestamp), meta)
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}
