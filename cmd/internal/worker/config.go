package worker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/ringrift/rift/domain"
)

// Config configures a worker.
type Config struct {
	Node         domain.NodeID
	Capabilities []string            // words that items may require
	Types        []string            // task types it takes; none: any
	Facts        json.RawMessage     // an object with whatever else is known about the node
	Slots        int                 // items at once
	Commands     map[string][]string // argv by task type; "" is for any other type
	Cluster      *Cluster
	Logger       *slog.Logger

	Folder     string   // where each item gets a scratch folder
	ScratchMax int64    // bytes of disk of all scratch folders, divided equally among the slots; 0: no limit
	Env        []string // NAME=VALUE that commands get in addition to RIFT_*
	RunAs      *User    // nil: the worker's own user
	Limits     Limits
	// Limiter is the argv of this program's hidden command that sets the limits and
	// then executes the command after it.
	Limiter []string
	// Guard is the argv of this program's hidden command that ends commands if the
	// worker is killed; the folder is appended. Nil: only the system ends them,
	// where it can.
	Guard []string
	GPU   []string // argv of a command that prints GPU and GPU memory use in percent; nil: unknown

	Grace         time.Duration // from SIGTERM to SIGKILL
	StalledAfter  time.Duration // without output or progress; 0: never
	FailStalled   bool
	ItemTimeout   time.Duration // 0: only the cluster's limit
	OrphanGrace   time.Duration // how long work continues past a deadline when no node answers
	DrainTimeout  time.Duration
	ReportTimeout time.Duration // for the remaining reports after the drain
	Poll          time.Duration // between claims that find nothing
	Wait          time.Duration // how long a claim waits for an item when nothing runs; 0: not at all
	Beat          time.Duration // between heartbeats of the node

	ReleaseCodes []int
	FatalCodes   []int
	Tail         int   // bytes kept of each stream
	MaxResult    int   // bytes
	MaxOutput    int64 // bytes of both streams; 0: no limit
	Inline       int   // largest payload, in bytes, passed in RIFT_PAYLOAD

	Once     bool // claim once, run the items, exit
	MaxItems int  // 0: no limit
}

// User is the user that commands run as.
type User struct{ UID, GID uint32 }

// Limits limit one command's processes; 0 means no limit.
type Limits struct {
	Processes uint64 // RLIMIT_NPROC: of the user, not of the item; root is not limited by it
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

// command returns the argv for a type of work; nil for none.
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
