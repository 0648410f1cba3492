package recorded

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// knowledge is what all observers know of the cluster so far: levels, from
// which edges are derived. It grows with the names in the logs, not with their
// lines. What a log to append to says is known as well, each of it from its own
// time on: a recording that follows one imported before, or overlaps it, comes to
// the edges that both together come to.
type knowledge struct {
	r         *reading
	observers map[domain.NodeID]*observer
	nodes     map[string]*nodeLevel
	voters    map[string]*standing[bool] // up or down
	voted     *history[voterLevel]
	tasks     map[string]*taskLevel
	daemons   map[string]*daemonLevel
	breakers  map[domain.NodeID]*nodeBreakers
	holds     map[holding][]string // trainings that are held, the oldest claim first
	claimed   *history[claim]
	pressure  map[string]string // source → level, of the sources that press
	pressed   time.Time         // when a source last changed
	pressing  *history[bool]
	read      seen // lines
}

// standing is a level as it is known: from a line of this import or from the log.
type standing[T comparable] struct {
	level T
	said  time.Time // by a line of this import; zero: the log said it last
}

// says takes over what a line says.
func (s *standing[T]) says(level T, at time.Time) { s.level, s.said = level, at }

// heard takes over what the log says, and tells whether that repeats what a line of
// this import says of an earlier time: the log then has an event that was no news.
func (s *standing[T]) heard(level T, at time.Time) (repeats bool) {
	if at.Equal(s.said) { // the event of the line itself, imported before
		s.level = level
		return false
	}
	repeats = !s.said.IsZero() && s.level == level
	s.level, s.said = level, time.Time{}
	return repeats
}

type nodeLevel struct {
	standing[level]
	since   time.Time // when it was last known to come online
	retired time.Time
	sick    time.Time // when it was last known to become unhealthy
	faults  int       // that are open, where faults are recorded one by one
	log     *history[level]
}

type voterLevel struct {
	name string
	up   bool
}

type taskLevel struct {
	known  bool
	kind   string // the type of item, as far as a line or the log says it
	claims uint64
	held   bool
	gone   bool
	log    *history[domain.Event]
}

type daemonLevel struct {
	standing[bool] // whether it runs
	log            *history[bool]
}

func newKnowledge(r *reading) *knowledge {
	return &knowledge{
		r: r, observers: map[domain.NodeID]*observer{}, nodes: map[string]*nodeLevel{}, voters: map[string]*standing[bool]{}, tasks: map[string]*taskLevel{},
		daemons: map[string]*daemonLevel{}, pressure: map[string]string{}, breakers: map[domain.NodeID]*nodeBreakers{}, holds: map[holding][]string{},
	}
}

// history is what a stream of the log says, in the order of time, as far as it
// was not told yet.
type history[T any] struct {
	left []told[T]
}

type told[T any] struct {
	at   time.Time
	what T
}

// historyOf reads a stream of the log; what says what an event tells, if anything.
func historyOf[T any](r *reading, stream domain.StreamID, what func(domain.Envelope) (T, bool)) (*history[T], error) {
	h := &history[T]{}
	if r.log == nil {
		return h, nil
	}
	if _, err := domain.ParseStreamID(string(stream)); err != nil {
		return h, nil //nolint:nilerr // it is refused where it is said
	}
	return h, h.add(r, string(stream), r.log.Read(r.ctx, stream, 0, eventlog.Forward), what)
}

// add reads events of the log; what says what an event tells, if anything.
func (h *history[T]) add(r *reading, of string, events iter.Seq2[domain.Envelope, error], what func(domain.Envelope) (T, bool)) error {
	for e, err := range events {
		if err != nil {
			return domain.Errorf(domain.CodeOf(err), "what the log says of %s: %w", of, err)
		}
		if r.catalog.Fill(&e) != nil {
			continue // of another build: nobody can say what it tells
		}
		if said, tells := what(e); tells {
			h.left = append(h.left, told[T]{e.Time, said})
		}
	}
	slices.SortStableFunc(h.left, func(a, b told[T]) int { return a.at.Compare(b.at) })
	return nil
}

// before yields what the log says up to a time and did not tell yet.
func (h *history[T]) before(at time.Time) iter.Seq2[time.Time, T] {
	return func(yield func(time.Time, T) bool) {
		for len(h.left) > 0 && h.left[0].at.Before(at) {
			said := h.left[0]
			h.left = h.left[1:]
			if !yield(said.at, said.what) {
				return
			}
		}
	}
}

// repeats counts an event of the log that repeats what lines say of an earlier time.
func (k *knowledge) repeats(is bool) {
	if is {
		k.r.report.Repeats++
	}
}

// end takes over all that the log says of a time behind the last line.
func (k *knowledge) end() error {
	never := time.Unix(1<<40, 0)
	for name := range k.nodes {
		if _, err := k.nodeOf(name, never); err != nil {
			return err
		}
	}
	for _, daemon := range k.daemons {
		k.daemonAt(daemon, never)
	}
	k.votersAt(never)
	return nil
}

// nodeOf is what is known of a node at a time.
func (k *knowledge) nodeOf(name string, at time.Time) (*nodeLevel, error) {
	node := k.nodes[name]
	if node == nil {
		log, err := historyOf(k.r, domain.NodeID(name).Stream(), func(e domain.Envelope) (level, bool) {
			switch e.Event.(type) {
			case nodes.HostOnline, nodes.Recovered:
				return online, true
			case nodes.Unhealthy:
				return unhealthy, true
			case nodes.HostOffline:
				return offline, true
			}
			return unknown, false
		})
		if err != nil {
			return nil, err
		}
		node = &nodeLevel{log: log}
		k.nodes[name] = node
	}
	for when, level := range node.log.before(at) {
		edge := level != node.level
		k.repeats(node.heard(level, when))
		switch {
		case edge && level == online:
			node.since = when
		case edge && level == unhealthy:
			node.sick = when
		}
	}
	return node, nil
}

// taskOf is what is known of an item at a time.
func (k *knowledge) taskOf(id string, at time.Time) (*taskLevel, error) {
	task := k.tasks[id]
	if task == nil {
		task = &taskLevel{}
		log, err := historyOf(k.r, domain.TaskID(id).Stream(), func(e domain.Envelope) (domain.Event, bool) {
			if spawned, is := e.Event.(work.Spawned); is {
				task.kind = spawned.TaskType // it never changes
			}
			return e.Event, true
		})
		if err != nil {
			return nil, err
		}
		task.log = log
		k.tasks[id] = task
	}
	for _, event := range task.log.before(at) {
		task.known = true
		switch event := event.(type) {
		case work.Claimed:
			task.claims, task.held = max(task.claims, event.Lease), true
		case work.Released, work.Failed:
			task.held = false
		case work.Dropped, work.Completed:
			task.held, task.gone = false, true
		}
	}
	return task, nil
}

// voterOf tells how a voter was last known to be at a time.
func (k *knowledge) voterOf(name string, stream domain.StreamID, at time.Time) (up, known bool, err error) {
	if k.voted == nil {
		k.voted, err = historyOf(k.r, stream, func(e domain.Envelope) (voterLevel, bool) {
			switch voter := e.Event.(type) {
			case election.VoterOnline:
				return voterLevel{string(voter.Voter), true}, true
			case election.VoterOffline:
				return voterLevel{string(voter.Voter), false}, true
			}
			return voterLevel{}, false
		})
		if err != nil {
			return false, false, err
		}
	}
	k.votersAt(at)
	voter := k.voters[name]
	return voter != nil && voter.level, voter != nil, nil
}

// votersAt takes over what the log says of voters up to a time.
func (k *knowledge) votersAt(at time.Time) {
	if k.voted == nil {
		return
	}
	for when, voter := range k.voted.before(at) {
		k.repeats(k.voterNamed(voter.name).heard(voter.up, when))
	}
}

func (k *knowledge) voterNamed(name string) *standing[bool] {
	voter := k.voters[name]
	if voter == nil {
		voter = &standing[bool]{}
		k.voters[name] = voter
	}
	return voter
}

// daemonOf is what is known of a daemon of a node at a time.
func (k *knowledge) daemonOf(node domain.NodeID, name string, at time.Time) (*daemonLevel, error) {
	key := domain.JoinNames(string(node), name)
	daemon := k.daemons[key]
	if daemon == nil {
		log, err := historyOf(k.r, nodes.DaemonStream(node, name), func(e domain.Envelope) (bool, bool) {
			changed, ok := e.Event.(nodes.DaemonStatusChanged)
			return changed.NewStatus == nodes.DaemonRunning, ok
		})
		if err != nil {
			return nil, err
		}
		daemon = &daemonLevel{log: log}
		k.daemons[key] = daemon
	}
	k.daemonAt(daemon, at)
	return daemon, nil
}

func (k *knowledge) daemonAt(daemon *daemonLevel, at time.Time) {
	for when, runs := range daemon.log.before(at) {
		k.repeats(daemon.heard(runs, when))
	}
}

// fromLog stands for the source of a pressure that only the log speaks of.
const fromLog = "\x00log"

// pressureAt takes over what the log says of back-pressure up to a time.
func (k *knowledge) pressureAt(stream domain.StreamID, at time.Time) (err error) {
	if k.pressing == nil {
		k.pressing, err = historyOf(k.r, stream, func(e domain.Envelope) (bool, bool) {
			switch e.Event.(type) {
			case work.BackpressureActivated:
				return true, true
			case work.BackpressureReleased:
				return false, true
			}
			return false, false
		})
		if err != nil {
			return err
		}
	}
	for _, on := range k.pressing.before(at) {
		switch {
		case !on:
			clear(k.pressure)
		case len(k.pressure) == 0:
			k.pressure[fromLog] = "active"
		}
	}
	return nil
}

// maxSeen bounds the lines that are remembered to tell one that two files hold.
const maxSeen = 1 << 20

// seen remembers identities, the last 2²⁰ and up to as many before.
type seen struct{ recent, older map[string]bool }

// twice tells whether an identity was seen before, and remembers it.
func (s *seen) twice(identity string) bool {
	if s.recent[identity] || s.older[identity] {
		return true
	}
	if s.recent == nil || len(s.recent) >= maxSeen {
		s.recent, s.older = map[string]bool{}, s.recent
	}
	s.recent[identity] = true
	return false
}

// lineCause is the identity of a line that says something at a time, the n-th in
// its run that says so.
func lineCause(ordinals *jsonl.Ordinals, at time.Time, text string) string {
	content := jsonl.ContentOf([]byte(at.Format(domain.Timestamp)), []byte(text))
	return "line\x00" + string(content[:]) + "\x00" + decimal(int64(ordinals.Next(content, at)))
}

// joined lists names in their order.
func joined(names map[string]bool) string {
	var list []string
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
