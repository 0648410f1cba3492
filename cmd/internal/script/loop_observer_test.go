package script

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	trainingview "github.com/ringrift/rift/projections/training"
	workview "github.com/ringrift/rift/projections/work"
)

// observer checks a log by rules that do not use the folds of the domain: which events must
// never follow which, and which commands of reactors are still missing.
type observer struct {
	items map[domain.TaskID]*observedItem
	games map[domain.ConfigKey]*observedGame
	nodes map[domain.NodeID]string // "" well, else why it gets nothing
	// pauses and cluster: who holds which kind, and the last verdict.
	pauses  map[string]map[string]time.Time // kind → reason → until
	cluster string
	rounds  map[gauntlet.ID]string // the first item of a gauntlet's round; "" when it is over
	played  map[domain.TaskID]bool // items of gauntlets that were taken, whatever they brought
	judged  map[string]int         // evaluation → verdicts
	tests   map[string]elo.EvaluationCompleted
	synced  map[training.SyncID]int64 // games of copies that ended, by the first word on it
	asked   map[string]string         // command id → the reason that somebody asked to lift
}

type observedItem struct {
	kind, config string
	state        string // queued, held, failed, final
	lease        uint64
	node         domain.NodeID
	end          string // the event that ended it
	facts        int    // facts of its type that name it
}

type observedGame struct {
	running   domain.TaskID
	ended     []domain.TaskID
	promoted  []domain.ModelID
	model     domain.ModelID
	blocks    map[string]time.Time // reason → until
	quality   *float64
	games     int64
	sources   []string
	requested []domain.TaskID
	models    []domain.ModelID // of trainings that succeeded
}

func newObserver() *observer {
	return &observer{
		items: map[domain.TaskID]*observedItem{}, games: map[domain.ConfigKey]*observedGame{}, nodes: map[domain.NodeID]string{},
		pauses: map[string]map[string]time.Time{}, rounds: map[gauntlet.ID]string{}, played: map[domain.TaskID]bool{}, judged: map[string]int{},
		tests: map[string]elo.EvaluationCompleted{}, synced: map[training.SyncID]int64{}, asked: map[string]string{},
	}
}

func (o *observer) game(config domain.ConfigKey) *observedGame {
	if o.games[config] == nil {
		o.games[config] = &observedGame{blocks: map[string]time.Time{}}
	}
	return o.games[config]
}

// see applies one event and returns what is impossible about it; empty for nothing.
func (o *observer) see(fact domain.Envelope) string {
	if said := o.seeItem(fact); said != "" {
		return said
	}
	if said := o.seeTraining(fact); said != "" {
		return said
	}
	return o.seeCluster(fact)
}

func (o *observer) seeItem(fact domain.Envelope) string {
	if fact.Stream.Category() != "task" {
		return ""
	}
	id := domain.TaskID(fact.Stream.ID())
	item := o.items[id]
	if spawned, ok := fact.Event.(work.Spawned); ok {
		if item != nil {
			return "an item is spawned twice"
		}
		o.items[id] = &observedItem{kind: spawned.TaskType, config: spawned.ConfigKey, state: "queued"}
		return ""
	}
	switch fact.Event.(type) {
	case work.CompletionRejected, work.Refused:
		return ""
	}
	if item == nil {
		return "an item that nobody spawned has a life"
	}
	if item.state == "final" {
		return "an item that ended as " + item.end + " goes on"
	}
	holds := func(lease uint64) bool { return item.state == "held" && item.lease == lease }
	switch e := fact.Event.(type) {
	case work.Claimed:
		switch {
		case item.state != "queued":
			return fmt.Sprintf("an item that is %s is given away", item.state)
		case e.Lease <= item.lease:
			return fmt.Sprintf("lease %d follows on lease %d", e.Lease, item.lease)
		case o.nodes[e.NodeID] != "":
			return fmt.Sprintf("node %s gets an item and is %s", e.NodeID, o.nodes[e.NodeID])
		}
		for _, kind := range []string{item.kind, admin.AllKinds} {
			if len(o.pauses[kind]) > 0 {
				return fmt.Sprintf("an item of type %s is given away while %s is paused for %v", item.kind, kind, o.pauses[kind])
			}
		}
		item.state, item.lease, item.node = "held", e.Lease, e.NodeID
	case work.Started:
		if !holds(e.Lease) {
			return "a start under a lease that is not live"
		}
	case work.Heartbeat:
		if !holds(e.Lease) {
			return "a heartbeat under a lease that is not live"
		}
	case work.Completed:
		if !holds(e.Lease) {
			return "a completion under a lease that is not live"
		}
		item.state, item.end = "final", fact.Type
	case work.Failed:
		if !holds(e.Lease) {
			return "a failure under a lease that is not live"
		}
		item.state = "failed"
	case work.Released:
		if !holds(e.Lease) {
			return "a release under a lease that is not live"
		}
		item.state = "queued"
	case work.Revoked:
		if !holds(e.Lease) {
			return "a lease is taken that is not live"
		}
		item.state = "queued"
	case work.LeaseExpired:
		if !holds(e.Lease) {
			return "a lease ends that is not live"
		}
		item.state = "failed"
	case work.RetryScheduled:
		if item.state != "failed" {
			return "a retry of what did not fail"
		}
		item.state = "waiting"
	case work.Requeued:
		item.state = "queued"
	case work.Dead, work.Cancelled, work.Dropped:
		item.state, item.end = "final", fact.Type
	}
	return ""
}

func (o *observer) seeCluster(fact domain.Envelope) string {
	switch e := fact.Event.(type) {
	case admin.KindPaused:
		if o.pauses[e.Kind] == nil {
			o.pauses[e.Kind] = map[string]time.Time{}
		}
		o.pauses[e.Kind][e.Reason] = e.Until
	case admin.KindResumed:
		until, held := o.pauses[e.Kind][e.Reason]
		asked, known := o.asked[fact.Meta.Command]
		switch {
		case !held:
			return "a pause is lifted that does not hold"
		case e.Expired && (until.IsZero() || fact.Time.Before(until)):
			return "a pause runs out before its time"
		case e.Expired:
		case known && asked != e.Reason:
			return fmt.Sprintf("%s was to be lifted, and %s is", asked, e.Reason)
		case !known && (e.Reason != admin.PauseCluster || o.cluster != "well"):
			return fmt.Sprintf("nobody asked to lift %s, and the cluster is %s", e.Reason, o.cluster)
		}
		delete(o.pauses[e.Kind], e.Reason)
	case admin.ClusterHealthy:
		o.cluster = "well"
	case admin.ClusterUnhealthy:
		o.cluster = "sick"
	case nodes.Unhealthy:
		o.nodes[e.NodeID] = "unhealthy: " + e.Reason
	case nodes.Recovered:
		o.nodes[e.NodeID] = ""
	case nodes.HostOffline:
		o.nodes[e.NodeID] = "offline"
	case nodes.HostOnline:
		o.nodes[e.NodeID] = ""
	}
	return ""
}

// inOrder ranges over a map in key order, so that a failure can be repeated.
func inOrder[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// owed returns what reactors should have commanded and have not, once they are idle.
func (o *observer) owed() string {
	for id, item := range inOrder(o.items) {
		switch {
		case item.state == "failed":
			return fmt.Sprintf("item %s failed, and nobody decided on a retry", id)
		case item.state == "held" && o.nodes[item.node] == "unhealthy: dead":
			return fmt.Sprintf("item %s is held by %s, which is dead", id, item.node)
		case item.end == "TASK_COMPLETED" && item.kind == "selfplay" && item.facts != 1:
			return fmt.Sprintf("item %s is done, and %d facts say so", id, item.facts)
		}
	}
	for config, game := range inOrder(o.games) {
		for _, task := range game.requested {
			if o.items[task] == nil {
				return fmt.Sprintf("training %s is asked for, and not queued", task)
			}
		}
		for _, model := range game.models {
			if _, begun := o.rounds[gauntlet.IDOf(config, model)]; !begun {
				return fmt.Sprintf("model %s was trained, and nobody measures it", model)
			}
		}
	}
	for id, item := range inOrder(o.items) {
		config := domain.ConfigKey(item.config)
		if item.kind == trainings && item.end == "TASK_COMPLETED" && !slices.Contains(o.game(config).ended, id) {
			return fmt.Sprintf("training item %s is done, and the training is not", id)
		}
		if item.kind == trainings && item.state == "held" && o.game(config).running != id {
			return fmt.Sprintf("training item %s is held, and %q runs", id, o.game(config).running)
		}
	}
	for id, task := range inOrder(o.rounds) {
		if task != "" && o.items[domain.TaskID(task)] == nil {
			return fmt.Sprintf("gauntlet %s waits for item %s, which nobody queued", id, task)
		}
		if said := o.waits(id, task); task != "" && said != "" {
			return said
		}
	}
	for identity, test := range inOrder(o.tests) {
		if n := o.judged[identity]; n > 1 || n == 0 && !slices.Contains(o.game(test.ConfigKey).promoted, test.ModelID) {
			return fmt.Sprintf("evaluation %s was judged %d times", identity, n)
		}
	}
	var told, noted int64
	for _, games := range o.synced {
		told += games
	}
	for _, game := range inOrder(o.games) {
		noted += game.games
	}
	if told != noted {
		return fmt.Sprintf("%d games arrived, %d are counted", told, noted)
	}
	for kind, reasons := range inOrder(o.pauses) {
		if _, held := reasons[admin.PauseCluster]; held && o.cluster != "sick" {
			return fmt.Sprintf("%s is paused for the cluster, which is %s", kind, o.cluster)
		}
	}
	return ""
}

// compare returns how the read models differ from what the observer knows.
func (o *observer) compare(v projections.View) string {
	for id, item := range inOrder(o.items) {
		row, found, err := workview.ItemsTable.Get(v, string(id))
		if err != nil || !found {
			return fmt.Sprintf("item %s has no row: %v", id, err)
		}
		if row.State.Held() != (item.state == "held") || row.State.Final() != (item.state == "final") || item.state == "held" && row.Lease != item.lease {
			return fmt.Sprintf("item %s is %s under %d; its row says %s under %d", id, item.state, item.lease, row.State, row.Lease)
		}
	}
	for config, game := range inOrder(o.games) {
		row, _, err := trainingview.TrainingTable.Get(v, string(config))
		running := domain.TaskID("")
		if row.Running != nil {
			running = row.Running.TaskID
		}
		if err != nil || running != game.running || row.Model != game.model || row.TotalGames != game.games || len(row.Blocks) != len(game.blocks) {
			return fmt.Sprintf("%s: %q runs, %q is in use, %d games, blocks %v; its row says %+v (%v)", config, game.running, game.model, game.games, game.blocks, row, err)
		}
	}
	paused, err := adminview.PausedKinds(v)
	if err != nil {
		return err.Error()
	}
	rows, held := 0, 0
	for _, row := range paused {
		for _, pause := range row.Pauses {
			rows++
			if _, there := o.pauses[row.Kind][pause.Reason]; !there {
				return fmt.Sprintf("%s is not paused for %s; its row says so", row.Kind, pause.Reason)
			}
		}
	}
	for _, reasons := range inOrder(o.pauses) {
		held += len(reasons)
	}
	if rows != held {
		return fmt.Sprintf("%d pauses hold; %d have rows", held, rows)
	}
	return ""
}

// waits returns what is wrong with the items of a running gauntlet: the result of one that
// ended has to be used, and another one has to be queued or leased.
func (o *observer) waits(id gauntlet.ID, first string) string {
	open := 0
	for task, item := range inOrder(o.items) {
		if rest, mine := strings.CutPrefix(string(task), first); !mine || rest != "" && rest[0] != '.' && rest[0] != '-' {
			continue
		}
		switch {
		case item.state != "final":
			open++
		case !o.played[task]:
			return fmt.Sprintf("gauntlet %s waits for item %s, which ended as %s", id, task, item.end)
		}
	}
	if open == 0 {
		return fmt.Sprintf("gauntlet %s runs, and no item of it is open", id)
	}
	return ""
}
