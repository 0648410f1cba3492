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

// echoWindow is the time within which reports by several subscribers are taken for one
// fact. The original's bus delivered within about two seconds.
const echoWindow = 10 * time.Second

// level is the state of a node.
type level string

const (
	unknown   level = ""
	online    level = "online"
	unhealthy level = "unhealthy"
	offline   level = "offline"
)

// translator turns the lines of one text log into facts.
type translator struct {
	*knowledge
	*observer
	r       *reading
	file    int
	node    domain.NodeID // the node that wrote the log
	named   bool          // node is known, not guessed from the file's name
	row     string        // the pattern of the current line
	reports []election.LeaderReport
}

// observer is a node that wrote one or several logs, with what it reported last, so that
// repetitions are recognized.
type observer struct {
	said  map[string]time.Time // last report of each unknown event, training and count of voters
	leads string               // the leader it believes in: nobody, somebody or a name; empty: not reported yet
}

// Values of observer.leads that are not names.
const (
	nobody   = "None" // as the original prints it
	somebody = "?"
)

func newTranslator(r *reading, file int, shared *knowledge) *translator {
	f := &translator{
		knowledge: shared, observer: &observer{said: map[string]time.Time{}}, r: r, file: file, node: domain.NodeID(r.options.Node), named: r.options.Node != "",
	}
	if f.node == "" {
		f.node = domain.NodeID(nameOf(recording(r.files[file].Path)))
	}
	f.isOf(f.node)
	return f
}

// isOf sets the node that wrote the log.
func (f *translator) isOf(node domain.NodeID) {
	f.node, f.r.report.Files[f.file].Node = node, string(node)
	if known := f.observers[node]; known != nil {
		f.observer = known
	} else {
		f.observers[node] = f.observer
	}
}

// take turns a line into facts, or counts why there are none.
func (f *translator) take(line stamped) error {
	row := f.r.report.rows[line.kind.row]
	row.Lines++
	row.PerFile[line.file]++
	f.row = line.kind.row
	if line.at.IsZero() && !line.kind.context {
		return f.unusable(line, "stands before the first time stamp of its file")
	}
	if !line.kind.prepares && f.read.before(line.cause) {
		f.reports = nil // they belong to the repeated line
		return f.known(line, "the same line was read before: files overlap")
	}
	return line.kind.apply(f, line, line.groups)
}

var notName = regexp.MustCompile(`[^A-Za-z0-9._:@-]+`)

// nameOf turns text into a valid name: runs of other characters become a dash.
func nameOf(text string) string {
	name := notName.ReplaceAllString(text, "-")
	if name == "" {
		return "unnamed"
	}
	return name[:min(len(name), 200)]
}

// say emits an event for a line.
func (f *translator) say(at stamped, stream domain.StreamID, event domain.Event) error {
	return f.sayAs(at, at.cause, stream, event)
}

// sayAs emits an event whose identity derives from cause instead of the line, so that
// several lines, in any log, give one event.
func (f *translator) sayAs(at stamped, cause string, stream domain.StreamID, event domain.Event) error {
	return f.r.emit(fact{
		stream: stream, cause: cause, time: at.at, event: event, row: f.row, place: at.place + ": " + at.text,
		meta: domain.Meta{Actor: at.logger, Node: string(f.node), Correlation: at.place},
	})
}

// known counts a line that is not news as folded.
func (f *translator) known(at stamped, why string) error {
	f.r.fold(f.row, why, at.place+": "+at.text)
	return nil
}

func (f *translator) unusable(at stamped, why string) error {
	f.r.skip(f.row, why, at.place+": "+at.text)
	return nil
}

func (f *translator) cluster() domain.StreamID  { return admin.ClusterStream(f.r.options.Cluster) }
func (f *translator) election() domain.StreamID { return election.Stream(f.r.options.Cluster) }
func (f *translator) admin() domain.StreamID    { return admin.Stream(f.r.options.Cluster) }
func (f *translator) elo() domain.StreamID      { return domain.Stream("elo", f.r.options.Cluster) }

func (f *translator) nodeNamed(_ stamped, g []string) error {
	if !f.named && domain.CheckName(g[1]) == nil {
		f.named = true
		f.isOf(domain.NodeID(g[1]))
	}
	if f.leads == "" {
		f.leads = nobody // a process that starts knows no leader
	}
	return nil
}

// echo reports whether the same was reported within 2 s, and records the report.
func (f *translator) echo(at stamped, what string) bool {
	last, before := f.said[what]
	f.said[what] = at.at
	return before && at.at.Sub(last).Abs() <= 2*time.Second
}

func (f *translator) unknownEvent(at stamped, g []string) error {
	if f.echo(at, "unknown\x00"+g[1]) {
		return f.known(at, "another subscriber's report of the same unknown event")
	}
	return f.say(at, f.admin(), admin.EventUnhandled{Name: g[1], Reporter: at.logger, Reason: "unknown event type"})
}

func (f *translator) noHandler(at stamped, g []string) error {
	return f.say(at, f.admin(), admin.EventUnhandled{Name: g[1], Reporter: at.logger, Reason: "no handler registered"})
}

func (f *translator) pollerResume(at stamped, g []string) error {
	after, err := strconv.ParseUint(g[2], 10, 64)
	if err != nil {
		return f.unusable(at, "event id out of range")
	}
	return f.say(at, f.admin(), gauntlet.PollerResumed{Poller: g[1], NodeID: f.node, AfterID: after, Observer: at.logger})
}

func (f *translator) daemonStarted(at stamped, g []string) error {
	name := strings.TrimRight(g[1], ",;.")
	daemon, err := f.daemonOf(f.node, name, at.at)
	if err != nil {
		return err
	}
	if daemon.level {
		return f.known(at, "the daemon was running")
	}
	daemon.setByLine(true, at.at)
	return f.say(at, nodes.DaemonStream(f.node, name), nodes.DaemonStatusChanged{DaemonName: name, NodeID: f.node, NewStatus: nodes.DaemonRunning})
}

func (f *translator) matchesMerged(at stamped, g []string) error {
	count, err := strconv.Atoi(g[1])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, f.elo(), elo.MatchesMerged{Count: count})
}

func (f *translator) recalculated(at stamped, g []string) error {
	ratings, err := strconv.Atoi(g[1])
	matches, err2 := strconv.Atoi(g[2])
	if err != nil || err2 != nil {
		return f.unusable(at, "number out of range")
	}
	return f.say(at, f.elo(), elo.RatingsRecalculated{Ratings: ratings, Matches: matches})
}

func (f *translator) eloLoaded(at stamped, g []string) error {
	games, err := strconv.Atoi(g[4])
	if err != nil {
		return f.unusable(at, "number out of range")
	}
	return f.rating(at, g[1], g[3], g[2], &games)
}

func (f *translator) eloProgress(at stamped, g []string) error {
	return f.rating(at, g[1], g[2], g[3], nil)
}

func (f *translator) rating(at stamped, config, model, rating string, games *int) error {
	value, err := strconv.ParseFloat(rating, 64)
	if err != nil {
		return f.unusable(at, "rating is no number")
	}
	key := domain.ConfigKey(configOf(config))
	return f.say(at, key.EloStream(), elo.Snapshot{ConfigKey: key, ModelID: domain.ModelID(model), Rating: value, Games: games})
}

// configOf returns a config key in rift's spelling; the original also wrote sq8_2p.
func configOf(text string) string {
	for _, short := range []string{"sq8_", "sq19_"} {
		if rest, found := strings.CutPrefix(text, short); found {
			return "square" + short[2:] + rest
		}
	}
	return text
}

// evaluationOf returns the id of an evaluation, which is the name of its model's file.
func evaluationOf(model string) string {
	return nameOf(strings.TrimSuffix(path.Base(model), ".pth"))
}

func (f *translator) evaluationQueued(at stamped, g []string) error {
	id := evaluationOf(g[1])
	return f.say(at, gauntlet.EvaluationStream(id), gauntlet.EvaluationQueued{EvaluationID: id, Model: g[1], ConfigKey: configOf(g[2])})
}

func (f *translator) evaluationClaimed(at stamped, g []string) error {
	id := evaluationOf(g[1])
	return f.say(at, gauntlet.EvaluationStream(id), gauntlet.EvaluationClaimed{EvaluationID: id, Model: g[1], ConfigKey: configOf(g[2]), NodeID: f.node})
}

func (f *translator) evaluationReset(at stamped, g []string) error {
	if g[1] == "" {
		return f.unusable(at, "names no request")
	}
	id := nameOf(g[1])
	return f.say(at, gauntlet.EvaluationStream(id), gauntlet.EvaluationReset{EvaluationID: id, Reason: "timeout"})
}

var afterAttempts = regexp.MustCompile(`after (\d+) attempts`)

func (f *translator) evaluationFailed(at stamped, g []string) error {
	id, attempts := evaluationOf(g[1]), 0
	if found := afterAttempts.FindStringSubmatch(g[2]); found != nil {
		attempts, _ = strconv.Atoi(found[1]) // 0, unknown, if it is out of range
	}
	return f.say(at, gauntlet.EvaluationStream(id), gauntlet.EvaluationDead{EvaluationID: id, Model: g[1], Attempts: attempts, Reason: clip(g[2], 400)})
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
