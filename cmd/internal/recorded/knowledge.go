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

// knowledge is the state of the cluster at the current line: levels, whose changes become
// events. It merges all lines of the import with the events of the log that are older than
// the current line, so that a recording gives the same events whether it is imported with
// an earlier one or after it. It grows with the names in the logs, not with their lines.
type knowledge struct {
	r         *reading
	observers map[domain.NodeID]*observer
	nodes     map[string]*nodeLevel
	voters    map[string]*standing[bool] // whether each is up
	voted     *history[voterLevel]
	tasks     map[string]*taskLevel
	daemons   map[string]*daemonLevel
	breakers  map[domain.NodeID]*nodeBreakers
	holds     map[holding][]string // held trainings, oldest claim first
	claimed   *history[claim]
	pressure  map[string]string // level of each source that presses
	pressed   time.Time         // when a source last changed
	pressing  *history[bool]
	read      seen // lines
}

// standing is a level and whether a line of this import or the log set it last.
type standing[T comparable] struct {
	level T
	said  time.Time // time of the line that set it; zero: the log set it
}

// setByLine sets the level from a line.
func (s *standing[T]) setByLine(level T, at time.Time) { s.level, s.said = level, at }

// setByLog sets the level from an event of the log. It reports whether an earlier line of
// this import had set the same level, so that the log's event was not a change.
func (s *standing[T]) setByLog(level T, at time.Time) (repeats bool) {
	if at.Equal(s.said) { // the event is that line's own, from an earlier import
		s.level = level
		return false
	}
	repeats = !s.said.IsZero() && s.level == level
	s.level, s.said = level, time.Time{}
	return repeats
}

type nodeLevel struct {
	standing[level]
	since   time.Time // last change to online
	retired time.Time // last report of its retirement
	sick    time.Time // last change to unhealthy
	faults  int       // open faults, in the format faults
	log     *history[level]
}

type voterLevel struct {
	name string
	up   bool
}

type taskLevel struct {
	known  bool
	kind   string // type of the item; empty: unknown
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

// history is the events of a stream of the log that are not yet applied, by time.
type history[T any] struct {
	left []timed[T]
}

type timed[T any] struct {
	at   time.Time
	what T
}

// historyOf reads a stream of the log; what converts an event, or returns false to ignore
// it.
func historyOf[T any](r *reading, stream domain.StreamID, what func(domain.Envelope) (T, bool)) (*history[T], error) {
	h := &history[T]{}
	if r.log == nil {
		return h, nil
	}
	if _, err := domain.ParseStreamID(string(stream)); err != nil {
		return h, nil //nolint:nilerr // envelope refuses the event
	}
	return h, h.add(r, string(stream), r.log.Read(r.ctx, stream, 0, eventlog.Forward), what)
}

// add adds events of the log; what converts an event, or returns false to ignore it.
func (h *history[T]) add(r *reading, of string, events iter.Seq2[domain.Envelope, error], what func(domain.Envelope) (T, bool)) error {
	for e, err := range events {
		if err != nil {
			return domain.Errorf(domain.CodeOf(err), "what the log says of %s: %w", of, err)
		}
		if r.catalog.Fill(&e) != nil {
			continue // an event that this build does not know
		}
		if said, tells := what(e); tells {
			h.left = append(h.left, timed[T]{e.Time, said})
		}
	}
	slices.SortStableFunc(h.left, func(a, b timed[T]) int { return a.at.Compare(b.at) })
	return nil
}

// before removes and yields the events before a time.
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

// repeats counts an event of the log for which setByLog returned true.
func (k *knowledge) repeats(is bool) {
	if is {
		k.r.report.Repeats++
	}
}

// end applies the events of the log behind the last line, for Report.Repeats.
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

// nodeOf returns the state of a node at a time.
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
		k.repeats(node.setByLog(level, when))
		switch {
		case edge && level == online:
			node.since = when
		case edge && level == unhealthy:
			node.sick = when
		}
	}
	return node, nil
}

// taskOf returns the state of an item at a time.
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

// voterOf returns the state of a voter at a time.
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

// votersAt applies the log's events of voters before a time.
func (k *knowledge) votersAt(at time.Time) {
	if k.voted == nil {
		return
	}
	for when, voter := range k.voted.before(at) {
		k.repeats(k.voterNamed(voter.name).setByLog(voter.up, when))
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

// daemonOf returns the state of a node's daemon at a time.
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
		k.repeats(daemon.setByLog(runs, when))
	}
}

// fromLog is the key of a pressure from the log, whose source is not known.
const fromLog = "\x00log"

// pressureAt applies the log's events of back-pressure before a time.
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

// maxSeen is the size of each of the two sets of seen.
const maxSeen = 1 << 20

// seen remembers the identities of the last maxSeen lines at least, and of up to twice as
// many.
type seen struct{ recent, older map[string]bool }

// before reports whether an identity was seen before, and remembers it.
func (s *seen) before(identity string) bool {
	if s.recent[identity] || s.older[identity] {
		return true
	}
	if s.recent == nil || len(s.recent) >= maxSeen {
		s.recent, s.older = map[string]bool{}, s.recent
	}
	s.recent[identity] = true
	return false
}

// lineCause returns the identity of a line: its time, its text, and its number among equal
// lines of one file (jsonl.Ordinals).
func lineCause(ordinals *jsonl.Ordinals, at time.Time, text string) string {
	content := jsonl.ContentOf([]byte(at.Format(domain.Timestamp)), []byte(text))
	return "line\x00" + string(content[:]) + "\x00" + decimal(int64(ordinals.Next(content, at)))
}

// joined returns the sorted names, separated by commas.
func joined(names map[string]bool) string {
	var list []string
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
