package bench

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
)

// Mixed makes up the first n events of a cluster's log: items that are queued,
// claimed, kept alive, completed or failed and tried again, nodes that come and
// go, trainings and what they find. Payloads are about 256 bytes on average.
// The same seed gives the same events, and fewer are the beginning of more.
//
// The envelopes have the places they would have in a log that holds nothing
// else. An error, which only an event that the catalogue refuses would cause,
// is the last thing yielded.
func Mixed(n int, seed uint64) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		catalog, err := wiring.Catalog()
		if err != nil {
			yield(domain.Envelope{}, err)
			return
		}
		m := newMixer(seed)
		for position := range n {
			stream, event, actor, command := m.next()
			e := domain.Envelope{
				Position: domain.Position(position + 1), Stream: stream, Revision: m.revision(stream), ID: m.id(), Time: m.now,
				Meta:  domain.Meta{Command: command, Actor: actor, Node: "coordinator-1", Correlation: command, Policy: "policy-default@0"},
				Event: event,
			}
			if e.Type, e.Version, e.Data, err = catalog.Encode(event); err != nil {
				yield(domain.Envelope{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// How the made-up cluster is built.
const (
	mixedNodes = 200
	mixedLive  = 2000 // items that are not done, at most twice as many
)

// mixer is the made-up cluster.
type mixer struct {
	random    *rand.Rand
	now       time.Time
	configs   []domain.ConfigKey
	nodes     []mixedNode
	live      []*mixedTask
	spawned   int
	commands  int
	revisions map[domain.StreamID]domain.Revision // of streams that go on
}

type mixedNode struct {
	id    domain.NodeID
	state nodes.State
	since time.Time
}

type mixedTask struct {
	id       domain.TaskID
	config   domain.ConfigKey
	kind     string
	state    work.State
	lease    uint64
	attempts int
	node     domain.NodeID
	done     int // games
}

func newMixer(seed uint64) *mixer {
	m := &mixer{
		random: rand.New(rand.NewPCG(seed, 0x72696674)), now: time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC),
		configs: domain.ConfigKeys(), revisions: map[domain.StreamID]domain.Revision{},
	}
	for i := range mixedNodes {
		m.nodes = append(m.nodes, mixedNode{id: domain.NodeID(fmt.Sprintf("gpu-%03d", i))})
	}
	return m
}

// revision counts the events of a stream, so that envelopes say where they stand.
func (m *mixer) revision(stream domain.StreamID) domain.Revision {
	next, known := m.revisions[stream]
	if !known {
		next = 0
	}
	m.revisions[stream] = next + 1
	return next
}

func (m *mixer) id() (id domain.EventID) {
	binary.LittleEndian.PutUint64(id[:], m.random.Uint64())
	binary.LittleEndian.PutUint64(id[8:], m.random.Uint64())
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

func (m *mixer) chance(share float64) bool { return m.random.Float64() < share }

// next lets one thing happen.
func (m *mixer) next() (stream domain.StreamID, event domain.Event, actor, command string) {
	m.now = m.now.Add(time.Duration(1000+m.random.IntN(20_000)) * time.Microsecond)
	m.commands++
	command = fmt.Sprintf("0196a1c4-%04x-7%03x-8000-%012x", m.commands>>28&0xffff, m.commands>>16&0xfff, m.commands)
	roll := m.random.Float64()
	switch {
	case len(m.live) < mixedLive/4, roll < 0.14 && len(m.live) < 2*mixedLive:
		stream, event = m.spawn()
		return stream, event, "scheduler", command
	case roll < 0.18:
		at := m.random.IntN(len(m.nodes))
		return m.nodes[at].id.Stream(), m.turn(&m.nodes[at]), "health", command
	case roll < 0.24:
		stream, event = m.train()
		return stream, event, "trainer", command
	}
	stream, event = m.advance()
	return stream, event, "worker", command
}

// kinds of items; selfplay stands twice because most are.
var mixedKinds = []string{"selfplay", "selfplay", "training", "gauntlet"}

func (m *mixer) spawn() (domain.StreamID, domain.Event) {
	m.spawned++
	task := &mixedTask{
		id: domain.TaskID(fmt.Sprintf("t-%08d", m.spawned)), config: m.configs[m.random.IntN(len(m.configs))],
		kind: mixedKinds[m.random.IntN(len(mixedKinds))], state: work.StateQueued,
	}
	m.live = append(m.live, task)
	spawned := work.Spawned{
		TaskID: task.id, TaskType: task.kind, ConfigKey: string(task.config), Priority: 10 * m.random.IntN(10), TimeoutSeconds: 5400, MaxAttempts: 3,
		Payload: m.json(`{"games":%d,"model":"%s-v%04d","seed":%d,"search":{"simulations":%d,"temperature":%.2f,"noise":%.3f},"output":"s3://selfplay/%s/%d","openings":["center","edge","random"],"record":{"policy":true,"values":true}}`,
			100+m.random.IntN(400), task.config, m.random.IntN(400), m.random.Uint32(), 200+m.random.IntN(800), m.random.Float64(), m.random.Float64()/4, task.config, m.spawned),
	}
	if m.chance(0.2) {
		spawned.Requires = []string{"cuda"}
	}
	return task.id.Stream(), spawned
}

// json makes a payload of words and numbers that need no escape.
func (m *mixer) json(format string, args ...any) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(format, args...))
}

// advance moves one item on.
func (m *mixer) advance() (domain.StreamID, domain.Event) {
	at := m.random.IntN(len(m.live))
	task := m.live[at]
	event := m.step(task)
	if task.state.Final() {
		m.live[at] = m.live[len(m.live)-1]
		m.live = m.live[:len(m.live)-1]
	}
	return task.id.Stream(), event
}

func (m *mixer) step(t *mixedTask) domain.Event {
	switch t.state {
	case work.StateQueued:
		t.lease++
		t.state, t.node = work.StateLeased, m.nodes[m.random.IntN(len(m.nodes))].id
		return work.Claimed{TaskID: t.id, Lease: t.lease, NodeID: t.node, Deadline: m.deadline(), Attempt: t.attempts + 1}
	case work.StateLeased:
		t.state = work.StateRunning
		return work.Started{TaskID: t.id, Lease: t.lease, NodeID: t.node}
	case work.StateFailed:
		if t.attempts >= 3 {
			t.state = work.StateDead
			return work.Dead{TaskID: t.id, Attempts: t.attempts, Reason: "attempts are spent: CUDA error: out of memory on device 0"}
		}
		t.state = work.StateWaiting
		return work.RetryScheduled{TaskID: t.id, NotBefore: m.now.Add(5 * time.Second), Attempts: t.attempts}
	case work.StateWaiting:
		t.state = work.StateQueued
		return work.Requeued{TaskID: t.id, Reason: "the back-off is over"}
	default:
		return m.run(t)
	}
}

// run is what happens to an item while a node works on it.
func (m *mixer) run(t *mixedTask) domain.Event {
	roll := m.random.Float64()
	switch {
	case roll < 0.78:
		t.done += m.random.IntN(40)
		return work.Heartbeat{TaskID: t.id, Lease: t.lease, NodeID: t.node, Deadline: m.deadline(), Progress: m.json(
			`{"games_done":%d,"positions":%d,"games_per_second":%.3f,"gpu":{"percent":%.1f,"memory_percent":%.1f,"temperature_c":%d},"wins":[%d,%d],"draws":%d,"mean_length":%.2f,"checkpoint":"s3://selfplay/%s/%s/part-%04d.bin","queue":{"waiting":%d,"evaluated":%d}}`,
			t.done, t.done*71+m.random.IntN(71), 2*m.random.Float64(), 100*m.random.Float64(), 100*m.random.Float64(), 50+m.random.IntN(30), t.done/2, t.done-t.done/2, t.done/20, 40+30*m.random.Float64(), t.config, t.id, t.done/40, m.random.IntN(512), m.random.IntN(1_000_000))}
	case roll < 0.95:
		t.state = work.StateDone
		return work.Completed{TaskID: t.id, Lease: t.lease, NodeID: t.node, Result: m.json(
			`{"games":%d,"positions":%d,"wins":[%d,%d],"draws":%d,"mean_length":%.2f,"seconds":%.1f,"rejected":%d,"rates":{"pass":0.02,"resign":0.11},"artifact":"s3://selfplay/%s/%s/games.bin","sha256":"%016x%016x%016x%016x"}`,
			t.done, t.done*71, t.done/2, t.done-t.done/2, t.done/20, 40+30*m.random.Float64(), 3600*m.random.Float64(), m.random.IntN(3), t.config, t.id,
			m.random.Uint64(), m.random.Uint64(), m.random.Uint64(), m.random.Uint64())}
	case roll < 0.98:
		t.state = work.StateFailed
		t.attempts++
		return work.Failed{
			TaskID: t.id, Lease: t.lease, NodeID: t.node, Retryable: true, Attempts: t.attempts,
			Error: fmt.Sprintf("worker %d ended with status 137 after %d games: CUDA error: out of memory on device %d", m.random.IntN(64), t.done, m.random.IntN(8)),
		}
	case roll < 0.99:
		t.state = work.StateFailed
		t.attempts++
		return work.LeaseExpired{TaskID: t.id, Lease: t.lease, NodeID: t.node, Reason: "silent", Attempts: t.attempts, Overdue: 0.25}
	}
	t.state = work.StateQueued
	return work.Released{TaskID: t.id, Lease: t.lease, NodeID: t.node, Reason: "the node is asked to stop for an upgrade of its driver"}
}

func (m *mixer) deadline() time.Time { return m.now.Add(time.Minute) }

// turn lets a node cross the next edge of its life.
func (m *mixer) turn(n *mixedNode) domain.Event {
	percent := func() *float64 { p := float64(m.random.IntN(1000)) / 10; return &p }
	silent := domain.Seconds(m.now.Sub(n.since).Seconds())
	n.since = m.now
	switch n.state {
	case "":
		n.state = nodes.StateRegistered
		return nodes.Announced{NodeID: n.id, Capabilities: []string{"selfplay", "training", "gauntlet", "cuda"}, Facts: m.json(
			`{"gpu":"NVIDIA H100 80GB HBM3","gpus":8,"memory_gib":%d,"driver":"550.54.%d","zone":"eu-%d","rack":"r%02d"}`, 512*(1+m.random.IntN(3)), m.random.IntN(99), m.random.IntN(4), m.random.IntN(40))}
	case nodes.StateRegistered, nodes.StateOffline:
		n.state = nodes.StateOnline
		return nodes.HostOnline{NodeID: n.id}
	case nodes.StateOnline:
		if m.chance(0.3) {
			n.state = nodes.StateOffline
			return nodes.HostOffline{NodeID: n.id, Reason: "no heartbeat within the bound of policy-default", SilentSeconds: silent}
		}
		n.state = nodes.StateSick
		return nodes.Unhealthy{NodeID: n.id, Reason: "disk", ConsecutiveFailures: 1 + m.random.IntN(4), DiskUsedPercent: percent(), GPUUtilization: percent(), SilentSeconds: silent}
	default:
	}
	n.state = nodes.StateOnline
	return nodes.Recovered{NodeID: n.id, RecoveryTimeSeconds: silent}
}

// train lets something happen in the training of a game.
func (m *mixer) train() (domain.StreamID, domain.Event) {
	config := m.configs[m.random.IntN(len(m.configs))]
	model := domain.ModelID(fmt.Sprintf("%s-v%04d", config, m.random.IntN(400)))
	node := m.nodes[m.random.IntN(len(m.nodes))].id
	task := domain.TaskID(fmt.Sprintf("t-%08d", 1+m.random.IntN(m.spawned)))
	score := func() *float64 { s := float64(m.random.IntN(1000)) / 1000; return &s }
	number := func(n int64) *int64 { return &n }
	var event interface {
		domain.Event
		domain.Homed
	}
	switch m.random.IntN(6) {
	case 0:
		event = training.QualityDegraded{ConfigKey: config, QualityScore: *score(), Threshold: 0.6, PreviousScore: score()}
	case 1:
		seconds := domain.Seconds(m.random.IntN(3600))
		event = training.SelfplayComplete{ConfigKey: config, GamesPlayed: 100 + m.random.IntN(400), TaskID: task, NodeID: node, DurationSeconds: &seconds}
	case 2:
		epochs, batch := 10+m.random.IntN(20), 256<<m.random.IntN(4)
		event = training.Started{ConfigKey: config, NodeID: node, TaskID: task, Epochs: &epochs, BatchSize: &batch, Samples: number(m.random.Int64N(5_000_000))}
	case 3:
		event = training.Completed{
			ConfigKey: config, TaskID: task, ModelID: model, Success: true, FinalLoss: score(), TrainLoss: score(), ValLoss: score(),
			Samples: number(m.random.Int64N(5_000_000)), Games: number(m.random.Int64N(50_000)), NodeID: node,
		}
	case 4:
		rating := 1000 + 1000**score()
		games := 50 + m.random.IntN(50)
		event = elo.EvaluationCompleted{ConfigKey: config, ModelID: model, GamesPlayed: 2 * games, Elo: &rating, TaskID: task, NodeID: node, Results: []elo.OpponentResult{
			{Opponent: "random", Wins: games - 1, Losses: 1}, {Opponent: "heuristic", Wins: games / 2, Losses: games - games/2 - 2, Draws: 2},
		}}
	default:
		rating := 1000 + 1000**score()
		event = elo.Updated{ConfigKey: config, ModelID: model, Old: rating, New: rating + 32**score() - 16, Error: 20 * *score(), GamesPlayed: 1 + m.random.IntN(5000)}
	}
	return event.Home(), event
}
