package recorded

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
)

// echoWindow is how long after a fact another subscriber's report of it is the
// same fact. The original's bus took up to about two seconds.
const echoWindow = 10 * time.Second

// level is what an observer knows of a node.
type level string

const (
	unknown   level = ""
	online    level = "online"
	unhealthy level = "unhealthy"
	offline   level = "offline"
)

// folder reads the log that one observer wrote.
type folder struct {
	*knowledge
	*observer
	r       *reading
	file    int
	node    domain.NodeID // who wrote the log
	named   bool
	row     string // the pattern at work
	reports []election.LeaderReport
}

// observer is a node that writes logs, and what it said last, to tell an echo from
// news. Logs that one node wrote, rotated say, are one observer's.
type observer struct {
	said  map[string]time.Time // dead wiring and trainings, by name
	leads string               // whom it believes to lead: nobody, somebody, a name; empty: it never said
}

// Whom an observer believes to lead, where it gives no name.
const (
	nobody   = "None" // as the original prints it
	somebody = "?"
)

func newFolder(r *reading, file int, shared *knowledge) *folder {
	f := &folder{
		knowledge: shared, observer: &observer{said: map[string]time.Time{}}, r: r, file: file, node: domain.NodeID(r.options.Node), named: r.options.Node != "",
	}
	if f.node == "" {
		f.node = domain.NodeID(nameOf(recording(r.files[file].Path)))
	}
	f.isOf(f.node)
	return f
}

// isOf says which node wrote the log.
func (f *folder) isOf(node domain.NodeID) {
	f.node, f.r.report.Files[f.file].Node = node, string(node)
	if known := f.observers[node]; known != nil {
		f.observer = known
	} else {
		f.observers[node] = f.observer
	}
}

// take lets a line become facts.
func (f *folder) take(line stamped) error {
	row := f.r.report.rows[line.kind.row]
	row.Lines++
	row.PerFile[line.file]++
	f.row = line.kind.row
	if line.at.IsZero() && !line.kind.context {
		return f.unusable(line, "stands before the first time stamp of its file")
	}
	if !line.kind.prepares && f.read.twice(line.cause) {
		f.reports = nil // they were of the same line, read before
		return f.known(line, "the same line was read before: files overlap")
	}
	return line.kind.apply(f, line, line.groups)
}

var notName = regexp.MustCompile(`[^A-Za-z0-9._:@-]+`)

// nameOf makes a name of text: what a name cannot hold becomes a dash.
func nameOf(text string) string {
	name := notName.ReplaceAllString(text, "-")
	if name == "" {
		return "unnamed"
	}
	return name[:min(len(name), 200)]
}

// say makes a fact of a line.
func (f *folder) say(at stamped, stream domain.StreamID, event domain.Event) error {
	return f.sayAs(at, at.cause, stream, event)
}

// sayAs is say for a fact that has an identity of its own: whoever reports it,
// and however often, it is one.
func (f *folder) sayAs(at stamped, cause string, stream domain.StreamID, event domain.Event) error {
	return f.r.emit(fact{
		stream: stream, cause: cause, time: at.at, event: event, row: f.row, place: at.place + ": " + at.text,
		meta: domain.Meta{Actor: at.logger, Node: string(f.node), Correlation: at.place},
	})
}

// known notes a line that says nothing new.
func (f *folder) known(at stamped, why string) error {
	f.r.fold(f.row, why, at.place+": "+at.text)
	return nil
}

func (f *folder) unusable(at stamped, why string) error {
	f.r.skip(f.row, why, at.place+": "+at.text)
	return nil
}

func (f *folder) cluster() domain.StreamID  { return admin.ClusterStream(f.r.options.Cluster) }
func (f *folder) election() domain.StreamID { return election.Stream(f.r.options.Cluster) }
func (f *folder) admin() domain.StreamID    { return admin.Stream(f.r.options.Cluster) }
func (f *folder) elo() domain.StreamID      { return domain.Stream("elo", f.r.options.Cluster) }

func (f *folder) nodeNamed(_ stamped, g []string) error {
	if !f.named && domain.CheckName(g[1]) == nil {
		f.named = true
		f.isOf(domain.NodeID(g[1]))
	}
	if f.leads == "" {
		f.leads = nobody // a process that starts knows none
	}
	return nil
}

// echo tells whether the same was said within the window, and remembers it.
func (f *folder) echo(at stamped, what string) bool {
	last, before := f.said[what]
	f.said[what] = at.at
	return before && at.at.Sub(last).Abs() <= 2*time.Second
}

func (f *folder) unknownEvent(at stamped, g []string) error {
	if f.echo(at, "unknown\x00"+g[1]) {
		return f.known(at, "another subscriber's report of the same unknown event")
	}
	return f.say(at, f.admin(), admin.EventUnhandled{Name: g[1], Reporter: at.logger, Reason: "unknown event type"})
}

func (f *folder) noHandler(at stamped, g []string) error {
	return f.say(at, f.admin(), admin.EventUnhandled{Name: g[1], Reporter: at.logger, Reason: "no handler registered"})
}

func (f *folder) pollerResume(at stamped, g []string) error {
	after, err := strconv.ParseUint(g[2], 10, 64)
	if err != nil {
		return f.unusable(at, "event id out of range")
	}
	return f.say(at, f.admin(), gauntlet.PollerResumed{Poller: g[1], NodeID: f.node, AfterID: after, Observer: at.logger})
}

func (f *folder) daemonStarted(at stamped, g []string) error {
	name := strings.TrimRight(g[1], ",;.")
	daemon, err := f.daemonOf(f.node, name, at.at)
	if err != nil {
		return err
	}
	if daemon.level {
		return f.known(at, "the daemon was running")
	}
	daemon.says(true, at.at)
	return f.say(at, nodes.DaemonStream(f.node, name), nodes.DaemonStatusChanged{DaemonName: name, NodeID: f.node, NewStatus: nodes.DaemonRunning})
}

func (f *folder) matchesMerged(at stamped, g []string) error {
	count, err := strconv.Atoi(g[1])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, f.elo(), elo.MatchesMerged{Count: count})
}

func (f *folder) recalculated(at stamped, g []string) error {
	ratings, err := strconv.Atoi(g[1])
	matches, err2 := strconv.Atoi(g[2])
	if err != nil || err2 != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, f.elo(), elo.RatingsRecalculated{Ratings: ratings, Matches: matches})
}

func (f *folder) eloLoaded(at stamped, g []string) error {
	games, err := strconv.Atoi(g[4])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	return f.rating(at, g[1], g[3], g[2], &games)
}

func (f *folder) eloProgress(at stamped, g []string) error {
	return f.rating(at, g[1], g[2], g[3], nil)
}

func (f *folder) rating(at stamped, config, model, rating string, games *int) error {
	value, err := strconv.ParseFloat(rating, 64)
	if err != nil {
		return f.unusable(at, "rating is no number")
	}
	key := domain.ConfigKey(configOf(config))
	return f.say(at, key.EloStream(), elo.Snapshot{ConfigKey: key, ModelID: domain.ModelID(model), Rating: value, Games: games})
}

// configOf spells a config key as rift does; the original also wrote sq8_2p.
func configOf(text string) string {
	for _, short := range []string{"sq8_", "sq19_"} {
		if rest, found := strings.CutPrefix(text, short); found {
			return "square" + short[2:] + rest
		}
	}
	return text
}

// evaluationOf names an evaluation by its model's file.
func evaluationOf(model string) string {
	return nameOf(strings.TrimSuffix(path.Base(model), ".pth"))
}

func (f *folder) evaluationQueued(at stamped, g []string) error {
	id := evaluationOf(g[1])
	return f.say(at, gauntlet.EvaluationStream(id), gauntlet.EvaluationQueued{EvaluationID: id, Model: g[1], ConfigKey: configOf(g[2])})
}

func (f *folder) evaluationClaimed(at stamped, g []string) error {
	id := evaluationOf(g[1])
	return f.say(at, gauntlet.EvaluationStream(id), gauntlet.EvaluationClaimed{EvaluationID: id, Model: g[1], ConfigKey: configOf(g[2]), NodeID: f.node})
}

func (f *folder) evaluationReset(at stamped, g []string) error {
	if g[1] == "" {
		return f.unusable(at, "names no request")
	}
	id := nameOf(g[1])
	return f.say(at, gauntlet.EvaluationStream(id), gauntlet.EvaluationReset{EvaluationID: id, Reason: "timeout"})
}

var afterAttempts = regexp.MustCompile(`after (\d+) attempts`)

func (f *folder) evaluationFailed(at stamped, g []string) error {
	id, attempts := evaluationOf(g[1]), 0
	if found := afterAttempts.FindStringSubmatch(g[2]); found != nil {
		attempts, _ = strconv.Atoi(found[1]) // out of range is unknown
	}
	return f.say(at, gauntlet.EvaluationStream(id), gauntlet.EvaluationDead{EvaluationID: id, Model: g[1], Attempts: attempts, Reason: clip(g[2], 400)})
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
