package recorded

import (
	"regexp"
	"strconv"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/work"
)

// recordedWork has the deadline and attempts that recorded items get, because the original
// did not bound a claim.
var recordedWork = work.DefaultPolicy()

// notItem reports whether text is not a valid id of an item.
func notItem(id string) bool { return domain.CheckName(id) != nil }

var configInID = regexp.MustCompile(`(?:^|_)((?:hex8|square8|square19|hexagonal)_[234]p)(?:_|$)`)

// spawn emits TASK_SPAWNED with an identity that derives from the item, so that an item
// which two logs mention is added once.
func (f *translator) spawn(at stamped, id, taskType string, priority int, origin string) error {
	spawned := work.Spawned{
		TaskID: domain.TaskID(id), TaskType: taskType, Priority: priority, Origin: origin,
		TimeoutSeconds: recordedWork.TimeoutSeconds, MaxAttempts: recordedWork.MaxAttempts,
	}
	if config := configInID.FindStringSubmatch(id); config != nil {
		spawned.ConfigKey = config[1]
	}
	return f.sayAs(at, "item\x00"+id, spawned.TaskID.Stream(), spawned)
}

func (f *translator) workAdded(at stamped, g []string) error {
	if notItem(g[1]) {
		return f.unusable(at, "names no item")
	}
	priority, err := strconv.Atoi(g[3])
	if err != nil || priority > 100 {
		return f.unusable(at, "priority out of range")
	}
	task, err := f.taskOf(g[1], at.at)
	if err != nil {
		return err
	}
	if task.known {
		return f.known(at, "the item was added before")
	}
	task.known, task.kind = true, g[2]
	return f.spawn(at, g[1], g[2], priority, work.OriginRecorded+" by a log that shows only the claims of its own node")
}

// inventedBy returns the origin of an item that a node made up without a leader, and what
// the node knew of a leader then.
func (f *translator) inventedBy(source string) string {
	origin := election.OriginInvented + " by " + string(f.node)
	switch f.leads {
	case "": // its log says nothing of leaders
	case nobody:
		origin += " without a leader"
	case somebody:
		origin += ", which knew a leader"
	case string(f.node):
		origin += ", which led"
	default:
		origin += ", which followed " + f.leads
	}
	return origin + " (" + source + ")"
}

// workClaimed handles a claim by the node that wrote the log. If no log has the item's
// addition, that node made the item up, or got it from a leader whose log is missing.
func (f *translator) workClaimed(at stamped, g []string) error {
	id, taskType, source := g[1], g[2], g[3]
	if notItem(id) {
		return f.unusable(at, "names no item")
	}
	task, err := f.taskOf(id, at.at)
	if err != nil {
		return err
	}
	if !task.known {
		task.known = true
		origin := f.inventedBy(source)
		if source == "leader" {
			origin = "handed to " + string(f.node) + " by a leader whose log is not here"
		}
		if err := f.spawn(at, id, taskType, recordedWork.DefaultPriority, origin); err != nil {
			return err
		}
	}
	if task.gone {
		return f.known(at, "the item was gone from the queue")
	}
	task.claims++
	task.held, task.kind = true, taskType
	if taskType == trainingType {
		if err := f.held(f.node, id, at.at); err != nil {
			return err
		}
	}
	return f.say(at, domain.TaskID(id).Stream(), work.Claimed{
		TaskID: domain.TaskID(id), Lease: task.claims, NodeID: f.node, Attempt: int(task.claims),
		Deadline: at.at.Add(recordedWork.TimeoutSeconds.Duration()),
	})
}

func (f *translator) workSkipped(at stamped, g []string) error {
	task, err := f.taskOf(g[1], at.at)
	if err != nil {
		return err
	}
	if !task.held {
		return f.known(at, "the item was not held")
	}
	task.held = false
	return f.say(at, domain.TaskID(g[1]).Stream(), work.Released{
		TaskID: domain.TaskID(g[1]), Lease: task.claims, NodeID: f.node, Reason: "policy: " + g[2],
	})
}

func (f *translator) workStale(at stamped, g []string) error {
	hours, err := strconv.ParseFloat(g[2], 64)
	if err != nil {
		return f.unusable(at, "age is no number")
	}
	if notItem(g[1]) {
		return f.unusable(at, "names no item")
	}
	task, err := f.taskOf(g[1], at.at)
	if err != nil {
		return err
	}
	if !task.known {
		task.known = true
		if err := f.spawn(at, g[1], "unrecorded", recordedWork.DefaultPriority, "added before the recording of "+string(f.node)+" began"); err != nil {
			return err
		}
	}
	if task.gone {
		return f.known(at, "the item was gone from the queue")
	}
	task.held, task.gone = false, true
	return f.say(at, domain.TaskID(g[1]).Stream(), work.Dropped{
		TaskID: domain.TaskID(g[1]), AgeSeconds: domain.Seconds(hours * 3600), Reason: "stale",
	})
}

func (f *translator) workRefused(at stamped, g []string) error {
	pending, err := strconv.Atoi(g[1])
	limit, err2 := strconv.Atoi(g[2])
	if err != nil || err2 != nil {
		return f.unusable(at, "number out of range")
	}
	if notItem(g[3]) {
		return f.unusable(at, "names no item")
	}
	return f.say(at, domain.TaskID(g[3]).Stream(), work.Refused{
		TaskID: domain.TaskID(g[3]), Pending: pending, Limit: limit, Reason: "queue at hard limit",
	})
}

// noSource is the source that the original printed for a report without one.
const noSource = "unknown"

// pressureOn handles a report of back-pressure, which several subscribers make, some
// without naming the source. An event is emitted when the first source starts to press.
func (f *translator) pressureOn(at stamped, g []string) error {
	if err := f.pressureAt(f.cluster(), at.at); err != nil {
		return err
	}
	source, pressing, pending := first(g[1], g[3], g[6], g[8], noSource), first(g[2], g[4], g[7]), 0
	if g[9] != "" {
		pending, _ = strconv.Atoi(g[9]) // out of range is unknown
	}
	f.sourceOfLog(source)
	if source == noSource && (len(f.pressure) > 0 || f.soon(at)) {
		return f.known(at, "another subscriber's report of the same pressure")
	}
	if pressing == "" {
		pressing = "active"
	}
	if f.pressure[source] == pressing {
		return f.known(at, "the source pressed already")
	}
	pressed := len(f.pressure) > 0
	f.pressure[source], f.pressed = pressing, at.at
	if pressed {
		return f.known(at, "the cluster was under pressure from another source already")
	}
	return f.say(at, f.cluster(), work.BackpressureActivated{Level: pressing, Pending: pending})
}

func (f *translator) pressureOff(at stamped, g []string) error {
	if err := f.pressureAt(f.cluster(), at.at); err != nil {
		return err
	}
	source, pending := first(g[1], g[2], g[4], noSource), 0
	if g[3] != "" {
		pending, _ = strconv.Atoi(g[3]) // out of range is unknown
	}
	f.sourceOfLog(source)
	if _, pressed := f.pressure[source]; !pressed {
		if source == noSource {
			return f.known(at, "another subscriber's report of the same release")
		}
		return f.known(at, "the source did not press")
	}
	delete(f.pressure, source)
	f.pressed = at.at
	if len(f.pressure) > 0 {
		return f.known(at, "other sources press on")
	}
	return f.say(at, f.cluster(), work.BackpressureReleased{Pending: pending})
}

// sourceOfLog takes a source for the one that presses by the log, which does not name it.
func (f *translator) sourceOfLog(source string) {
	if level, pressed := f.pressure[fromLog]; pressed {
		delete(f.pressure, fromLog)
		f.pressure[source] = level
	}
}

func (f *translator) soon(at stamped) bool {
	return !f.pressed.IsZero() && at.at.Sub(f.pressed) < echoWindow
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func seconds(text string) (domain.Seconds, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value >= 0) || value > float64(domain.MaxSeconds) {
		return 0, domain.Errorf(domain.Invalid, "want seconds, found %q", text)
	}
	return domain.Seconds(value), nil
}
