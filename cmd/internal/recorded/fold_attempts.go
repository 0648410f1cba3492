package recorded

import (
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
)

// holding names the items of a type and a game that a node claimed and did not end,
// the oldest first. A log says of a training which game it was of, not which item.
type holding struct {
	node     domain.NodeID
	taskType string
	config   string
}

// maxHolding bounds the items of one type and game that a node is taken to hold.
const maxHolding = 1000

// trainingType is what the original calls the items that train.
const trainingType = "training"

// held notes that a node claimed an item.
func (k *knowledge) held(node domain.NodeID, taskType, id string) {
	config := configInID.FindStringSubmatch(id)
	if config == nil {
		return
	}
	of := holding{node, taskType, config[1]}
	if ids := k.holds[of]; len(ids) < maxHolding && !slices.Contains(ids, id) {
		k.holds[of] = append(ids, id)
	}
}

// ends finds the item whose attempt ended on a node, if it claimed one: the oldest
// that it still holds.
func (k *knowledge) ends(node domain.NodeID, taskType, config string) (id string, task *taskLevel) {
	of := holding{node, taskType, config}
	for len(k.holds[of]) > 0 {
		id = k.holds[of][0]
		k.holds[of] = k.holds[of][1:]
		if task = k.tasks[id]; task != nil && task.held && !task.gone {
			task.held = false
			return id, task
		}
	}
	delete(k.holds, of)
	return "", nil
}

// trainingCompleted is said by two subscribers; a training without a game or a
// model is a fact about nothing.
func (f *folder) trainingCompleted(at stamped, g []string) error {
	if f.echo(at, "training\x00"+g[1]) {
		return f.known(at, "another subscriber's report of the same training")
	}
	key, err := domain.ParseConfigKey(configOf(g[1]))
	if err != nil {
		return f.unusable(at, "names no game: "+g[1])
	}
	if g[3] == "" {
		return f.unusable(at, "names no model")
	}
	completed := training.Completed{
		ConfigKey: key, TaskID: domain.TaskID("recorded-" + domain.DeriveID(at.cause, 0).String()), ModelID: domain.ModelID(nameOf(g[3])), Success: true,
	}
	if id, task := f.ends(f.node, trainingType, string(key)); task != nil {
		task.gone, completed.TaskID, completed.NodeID = true, domain.TaskID(id), f.node
		if err := f.say(at, completed.TaskID.Stream(), work.Completed{TaskID: completed.TaskID, Lease: task.claims, NodeID: f.node}); err != nil {
			return err
		}
	}
	return f.say(at, key.TrainingStream(), completed)
}

// trainingFailed ends the attempt of the node that wrote the log.
func (f *folder) trainingFailed(at stamped, g []string) error {
	if f.echo(at, "training failed\x00"+g[1]) {
		return f.known(at, "another subscriber's report of the same training")
	}
	key, err := domain.ParseConfigKey(configOf(g[1]))
	if err != nil {
		return f.unusable(at, "names no game: "+g[1])
	}
	failed := training.Failed{ConfigKey: key, Error: first(clip(g[3], 400), "failed"), NodeID: f.node}
	if id, task := f.ends(f.node, trainingType, string(key)); task != nil {
		failed.TaskID = domain.TaskID(id)
		if err := f.say(at, failed.TaskID.Stream(), work.Failed{
			TaskID: failed.TaskID, Lease: task.claims, NodeID: f.node, Error: failed.Error, Retryable: true, Attempts: int(task.claims),
		}); err != nil {
			return err
		}
	}
	return f.say(at, key.TrainingStream(), failed)
}
