package work

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// place is the part of an item from which the keys of the indexes are made.
type place struct {
	id       domain.TaskID
	state    work.State
	taskType string
	config   string
	node     domain.NodeID // of the last lease
	pin      domain.NodeID
	room     domain.NodeID // that has a reservation for it
	batch    string
	ended    domain.Position
	endedAt  int64 // microseconds
}

func (r *TaskRow) place() place {
	p := place{id: r.TaskID, state: r.State, taskType: r.TaskType, config: r.ConfigKey, node: r.NodeID, batch: r.Batch, ended: r.Ended}
	if r.Pin != nil && r.State == work.StateQueued {
		p.pin = r.Pin.NodeID
	}
	if r.Room != nil {
		p.room = r.Room.NodeID
	}
	if r.Ended != 0 {
		p.endedAt = r.EndedAt.UnixMicro()
	}
	return p
}

// IndexRow is a row of an index. It has no fields: the key has all information.
type IndexRow struct{}

// The indexes of items. The parts of a key are separated by NUL. A key ends with
// the item's id, or with an end: see endOf.
var (
	tasksByState     = projections.Table[IndexRow]{Name: "work.by_state"}      // state, type, config
	tasksByNode      = projections.Table[IndexRow]{Name: "work.by_node"}       // node, stage, type, config
	tasksByPin       = projections.Table[IndexRow]{Name: "work.by_pin"}        // node; of queued items
	tasksByRoom      = projections.Table[IndexRow]{Name: "work.by_room"}       // node
	tasksByBatch     = projections.Table[IndexRow]{Name: "work.by_batch"}      // batch
	tasksEnded       = projections.Table[IndexRow]{Name: "work.ended"}         // state, type, config; an end
	tasksEndedOnNode = projections.Table[IndexRow]{Name: "work.ended_on_node"} // node, state, type, config; an end
)

// taskIndexes lists the indexes in the order of place.keys.
var taskIndexes = [...]projections.Table[IndexRow]{tasksByState, tasksByNode, tasksByPin, tasksByRoom, tasksByBatch, tasksEnded, tasksEndedOnNode}

// keys returns the key of an item in each index; empty if it has none, or the same as at
// the other place.
func (p *place) keys(other *place) (keys [len(taskIndexes)]string) {
	if p.state == "" {
		return keys // it is new
	}
	if stageOf(p.state) != stageOf(other.state) {
		keys[0] = kindKey(stageOf(p.state), p.taskType, p.config, string(p.id))
	}
	if p.node != "" && (p.node != other.node || stageOnNode(p.state) != stageOnNode(other.state)) {
		keys[1] = kindKey(string(p.node)+"\x00"+stageOnNode(p.state), p.taskType, p.config, string(p.id))
	}
	if p.pin != other.pin {
		keys[2] = under(p.pin, p.id)
	}
	if p.room != other.room {
		keys[3] = under(p.room, p.id)
	}
	if p.batch != other.batch {
		keys[4] = under(p.batch, p.id)
	}
	if p.ended != 0 && p.ended != other.ended {
		end := p.endOf()
		keys[5] = kindKey(string(p.state), p.taskType, p.config, end)
		if p.node != "" {
			keys[6] = kindKey(string(p.node)+"\x00"+string(p.state), p.taskType, p.config, end)
		}
	}
	return keys
}

// indexTask updates the indexes after a change of a row. The type, config and id of a place
// never change.
func indexTask(tx projections.Tx, before, after *TaskRow) error {
	was, is := before.place(), after.place()
	if was == is {
		return nil
	}
	from, to := was.keys(&is), is.keys(&was)
	cell := &projections.Cell{JSON: []byte("{}")}
	for i, index := range taskIndexes {
		if from[i] != "" {
			if err := index.Delete(tx, from[i]); err != nil {
				return err
			}
		}
		if to[i] != "" {
			if err := tx.Put(index.Name, to[i], cell); err != nil {
				return err
			}
		}
	}
	return nil
}

// Several states have one key, so that fewer rows of indexes change: held for the states of
// items that are held, of which there are no more than slots, and live for all states of
// items of one node that have not ended, of which there are few.
const (
	held = "held"
	live = "live"
)

// stageOf returns the key of a state in the index by state.
func stageOf(s work.State) string {
	if s.Held() {
		return held
	}
	return string(s)
}

// stageOnNode returns the key of a state in the index by node.
func stageOnNode(s work.State) string {
	if s.Final() {
		return string(s)
	}
	return live
}

func kindKey(stage, taskType, config, rest string) string {
	return stage + "\x00" + taskType + "\x00" + config + "\x00" + rest
}

// under returns the key of an item under its owner; empty if it has none.
func under[S ~string](owner S, id domain.TaskID) string {
	if owner == "" {
		return ""
	}
	return projections.Pair(string(owner), string(id))
}

// endOf returns a key that sorts by the end of items: its position, time and id.
func (p *place) endOf() string {
	return projections.PositionKey(p.ended) + projections.MicroKey(p.endedAt) + string(p.id)
}

// end is a parsed key of endOf.
type end struct {
	position, moment string // as projections.PositionKey and projections.MicroKey write them
	id               domain.TaskID
}

func parseEnd(key string) (end, error) {
	if len(key) <= 2*projections.KeyDigits {
		return end{}, domain.Errorf(domain.Corrupt, "index of ended items: want a position, a moment and an id, found %q", key)
	}
	return end{key[:projections.KeyDigits], key[projections.KeyDigits : 2*projections.KeyDigits], domain.TaskID(key[2*projections.KeyDigits:])}, nil
}
