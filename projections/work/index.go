package work

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// place is what the indexes know of an item: their keys are made of it, and of
// nothing else.
type place struct {
	id       domain.TaskID
	state    work.State
	taskType string
	config   string
	node     domain.NodeID // of the last lease
	pin      domain.NodeID
	room     domain.NodeID // keeps its room for it
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

// IndexRow is a row of an index: all that it says is in its key.
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

// taskIndexes lists the indexes, in the order of the keys that a place makes.
var taskIndexes = [...]projections.Table[IndexRow]{tasksByState, tasksByNode, tasksByPin, tasksByRoom, tasksByBatch, tasksEnded, tasksEndedOnNode}

// keys says where an item stands in each index, where it does not stand there at
// another place too; "": it does not, or does.
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

// indexTask brings the indexes in line with a row. Nothing but a place's state, its
// owners and its end ever changes.
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

// The stages of items whose states the keys do not tell apart, so that fewer rows
// move: of the items that are held there are no more than nodes have room for, and
// of those of one node that are not final there are few.
const (
	held = "held"
	live = "live"
)

// stageOf is what the index by state makes of a state.
func stageOf(s work.State) string {
	if s.Held() {
		return held
	}
	return string(s)
}

// stageOnNode is what the index by node makes of a state.
func stageOnNode(s work.State) string {
	if s.Final() {
		return string(s)
	}
	return live
}

func kindKey(stage, taskType, config, rest string) string {
	return stage + "\x00" + taskType + "\x00" + config + "\x00" + rest
}

// under is a key of an item that belongs to somebody; nothing for nobody.
func under[S ~string](owner S, id domain.TaskID) string {
	if owner == "" {
		return ""
	}
	return projections.Pair(string(owner), string(id))
}

// endOf sorts as items end: its position, the moment, and the id.
func (p *place) endOf() string {
	return projections.PositionKey(p.ended) + projections.MicroKey(p.endedAt) + string(p.id)
}

// end is what endOf says.
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
