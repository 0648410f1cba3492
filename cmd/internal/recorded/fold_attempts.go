package recorded

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// holding is the key of the trainings that a node holds of a config. A text log names the
// config of a training that ended, not the item.
type holding struct {
	node   domain.NodeID
	config string
}

// maxHolding bounds the trainings per holding.
const maxHolding = 1000

// trainingType is the type of training items in the original.
const trainingType = "training"

// held records that a node claimed a training.
func (k *knowledge) held(node domain.NodeID, id string, at time.Time) error {
	if err := k.claimsBefore(at); err != nil {
		return err
	}
	k.hold(node, id)
	return nil
}

func (k *knowledge) hold(node domain.NodeID, id string) {
	config := configInID.FindStringSubmatch(id)
	if config == nil {
		return
	}
	of := holding{node, config[1]}
	if ids := k.holds[of]; len(ids) < maxHolding && !slices.Contains(ids, id) {
		k.holds[of] = append(ids, id)
	}
}

// claim is the claim of an item by a node in the log.
type claim struct {
	node domain.NodeID
	id   string
}

// claimsBefore adds the trainings that were claimed in the log before a time.
func (k *knowledge) claimsBefore(at time.Time) error {
	if k.claimed == nil {
		k.claimed = &history[claim]{}
		if k.r.log != nil {
			claims := k.r.log.ReadAll(k.r.ctx, 1, eventlog.Forward, eventlog.Filter{Types: []string{work.Claimed{}.EventType()}})
			if err := k.claimed.add(k.r, "claims", claims, func(e domain.Envelope) (claim, bool) {
				claimed, is := e.Event.(work.Claimed)
				return claim{claimed.NodeID, string(claimed.TaskID)}, is && configInID.MatchString(string(claimed.TaskID))
			}); err != nil {
				return err
			}
		}
	}
	for _, claim := range k.claimed.before(at) {
		task, err := k.taskOf(claim.id, at)
		if err != nil {
			return err
		}
		if task.kind == trainingType {
			k.hold(claim.node, claim.id)
		}
	}
	return nil
}

// endTraining returns the training of a config that a node has held longest, and no longer
// counts it as held; nil: it holds none.
func (k *knowledge) endTraining(node domain.NodeID, config string, at time.Time) (id string, task *taskLevel, err error) {
	if err := k.claimsBefore(at); err != nil {
		return "", nil, err
	}
	of := holding{node, config}
	for len(k.holds[of]) > 0 {
		id = k.holds[of][0]
		k.holds[of] = k.holds[of][1:]
		if task, err = k.taskOf(id, at); err != nil || task.held && !task.gone {
			return id, task, err
		}
	}
	delete(k.holds, of)
	return "", nil, nil
}

// trainingCompleted handles a report that two subscribers make. It is unusable without a
// config or a model.
func (f *translator) trainingCompleted(at stamped, g []string) error {
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
	id, task, err := f.endTraining(f.node, string(key), at.at)
	if err != nil {
		return err
	}
	if task != nil {
		task.held, task.gone, completed.TaskID, completed.NodeID = false, true, domain.TaskID(id), f.node
		if err := f.say(at, completed.TaskID.Stream(), work.Completed{TaskID: completed.TaskID, Lease: task.claims, NodeID: f.node}); err != nil {
			return err
		}
	}
	return f.say(at, key.TrainingStream(), completed)
}

// trainingFailed ends an attempt of the node that wrote the log.
func (f *translator) trainingFailed(at stamped, g []string) error {
	if f.echo(at, "training failed\x00"+g[1]) {
		return f.known(at, "another subscriber's report of the same training")
	}
	key, err := domain.ParseConfigKey(configOf(g[1]))
	if err != nil {
		return f.unusable(at, "names no game: "+g[1])
	}
	failed := training.Failed{ConfigKey: key, Error: first(clip(g[3], 400), "failed"), NodeID: f.node}
	id, task, err := f.endTraining(f.node, string(key), at.at)
	if err != nil {
		return err
	}
	if task != nil {
		task.held, failed.TaskID = false, domain.TaskID(id)
		if err := f.say(at, failed.TaskID.Stream(), work.Failed{
			TaskID: failed.TaskID, Lease: task.claims, NodeID: f.node, Error: failed.Error, Retryable: true, Attempts: int(task.claims),
		}); err != nil {
			return err
		}
	}
	return f.say(at, key.TrainingStream(), failed)
}
