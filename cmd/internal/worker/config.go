package worker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/ringrift/rift/domain"
)

// Config says what a worker does, where and within which bounds.
type Config struct {
	Node         domain.NodeID
	Capabilities []string            // words that items may require
	Types        []string            // task types it takes; none: any
	Facts        json.RawMessage     // an object of what else is known of the node
	Slots        int                 // items at once
	Commands     map[string][]string // argv by task type; "" is for any other type
	Cluster      *Cluster
	Logger       *slog.Logger

	Folder     string   // where each item gets a scratch folder
	ScratchMax int64    // bytes of disk of all scratch folders, an equal share for each slot; 0: no bound
	Env        []string // NAME=VALUE that commands get besides RIFT_*
	RunAs      *User    // nil: the worker's own user
	Limits     Limits
	// Limiter is the argv of this program's own hidden command that sets the
	// limits and then becomes the command after it.
	Limiter []string
	// Guard is the argv of this program's own hidden command that ends commands when
	// the worker is killed; the folder follows it. Nil: nobody does, where the system
	// does not.
	Guard []string
	GPU   []string // argv of a command that prints GPU and GPU memory use in percent; nil: unknown

	Grace         time.Duration // from SIGTERM to SIGKILL
	StalledAfter  time.Duration // without output or progress; 0: never
	FailStalled   bool
	ItemTimeout   time.Duration // 0: the cluster's alone
	OrphanGrace   time.Duration // that work goes on behind a deadline nobody answered about
	DrainTimeout  time.Duration
	ReportTimeout time.Duration // for what is left to report after the drain
	Poll          time.Duration // between claims when there is nothing
	Wait          time.Duration // for an item, of a claim made while nothing runs; 0: a claim is answered at once
	Beat          time.Duration // between heartbeats of the node

	ReleaseCodes []int
	FatalCodes   []int
	Tail         int   // bytes kept of each stream
	MaxResult    int   // bytes
	MaxOutput    int64 // bytes of both streams; 0: no bound
	Inline       int   // bytes of payload that stand in RIFT_PAYLOAD itself

	Once     bool // claim once, run what that gave, end
	MaxItems int  // 0: no bound
}

// User is who commands run as.
type User struct{ UID, GID uint32 }

// Limits bound one command's processes; 0 is no bound.
type Limits struct {
	Processes uint64 // RLIMIT_NPROC: of the user, not of the item; the superuser is not bound by it
	Memory    uint64 // RLIMIT_AS, bytes of each process
	FileSize  uint64 // RLIMIT_FSIZE, bytes of each file
	Files     uint64 // RLIMIT_NOFILE, open at once by each process
	CPU       uint64 // RLIMIT_CPU, seconds of each process
}

func (l Limits) any() bool { return l != Limits{} }

func (c Config) check() error {
	var faults []domain.Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	name := func(field, text string) {
		if err := domain.CheckName(text); err != nil {
			fault(field, "%s", err.Error())
		}
	}
	name("node-id", string(c.Node))
	for _, word := range c.Capabilities {
		name("capabilities", word)
	}
	for _, word := range c.Types {
		name("types", word)
		if c.command(word) == nil {
			fault("types", "no command is given for %s", word)
		}
	}
	if c.Slots < 1 || c.Slots > 1024 {
		fault("slots", "want 1 to 1024, found %d", c.Slots)
	}
	if len(c.Commands) == 0 {
		fault("command", "want a command after --, or --exec TYPE=COMMAND")
	}
	atLeast := func(field string, value, least time.Duration) {
		if value < least {
			fault(field, "want at least %s, found %s", least, value)
		}
	}
	atLeast("poll", c.Poll, 10*time.Millisecond)
	atLeast("node-heartbeat", c.Beat, 10*time.Millisecond)
	atLeast("wait", c.Wait, 0)
	atLeast("grace", c.Grace, 0)
	atLeast("stalled-after", c.StalledAfter, 0)
	atLeast("item-timeout", c.ItemTimeout, 0)
	atLeast("orphan-grace", c.OrphanGrace, 0)
	atLeast("drain-timeout", c.DrainTimeout, 0)
	atLeast("report-timeout", c.ReportTimeout, 0)
	if c.FailStalled && c.StalledAfter == 0 {
		fault("fail-stalled", "want --stalled-after too")
	}
	if c.Tail < 0 || c.Tail > 64<<10 {
		fault("tail", "want 0 to 64KiB, found %d bytes", c.Tail)
	}
	if c.MaxResult < 0 || c.MaxResult > 768<<10 {
		fault("max-result", "want at most 768KiB, which is what a node takes; found %d bytes", c.MaxResult)
	}
	if c.ScratchMax < 0 {
		fault("scratch-max", "want 0 or more, found %d bytes", c.ScratchMax)
	}
	if c.MaxItems < 0 {
		fault("max-items", "want 0 or more, found %d", c.MaxItems)
	}
	if c.Limits.any() && len(c.Limiter) == 0 {
		fault("limits", "want a program that sets them")
	}
	return domain.Faulty("worker", faults)
}

// command is the argv for a type of work; nil for none.
func (c Config) command(taskType string) []string {
	if argv := c.Commands[taskType]; argv != nil {
		return argv
	}
	return c.Commands[""]
}

func (c Config) rules() rules {
	return rules{
		grace: c.Grace, stalledAfter: c.StalledAfter, failStalled: c.FailStalled, limit: c.ItemTimeout, orphanGrace: c.OrphanGrace,
		releaseCodes: c.ReleaseCodes, fatalCodes: c.FatalCodes,
	}
}
