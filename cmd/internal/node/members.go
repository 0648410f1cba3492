package node

import (
	"cmp"
	"context"
	"fmt"
	"time"

	raftcmd "github.com/ringrift/rift/commands/raft"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/raft"
)

// Membership is who replicates the log, as of one of its configurations.
type Membership struct {
	Configuration uint64
	By            string // on whose word it was made; empty: the first one's
	Members       []raft.Member
}

// membersAgain is how long passes before a node looks again at members that are not to
// be written down yet.
const membersAgain = 5 * time.Second

// KeepMembers writes down each change of the members once, while this node leads, until
// ctx ends.
func (n *Node) KeepMembers(ctx context.Context) error {
	for n.untilLeads(ctx) {
		led := n.config.Leadership.Changes()
		members, changed := n.config.Members()
		var again <-chan time.Time
		wait := membersAgain
		if members != nil {
			err := n.noteMembers(ctx, members)
			if err == nil {
				wait = 0
			} else if ctx.Err() == nil && n.Leads() {
				n.logger.Warn("who the members are is not written down; it is tried again", "error", err, "retry_in", maxRetry)
				wait = maxRetry
			}
		}
		var timer *time.Timer
		if wait > 0 {
			timer = time.NewTimer(wait)
			again = timer.C
		}
		select {
		case <-again:
		case <-changed:
		case <-led:
		case <-ctx.Done():
		}
		if timer != nil {
			timer.Stop()
		}
	}
	return nil
}

func (n *Node) noteMembers(ctx context.Context, m *Membership) error {
	ctx, err := n.lead(ctx)
	if err != nil {
		return err
	}
	command := fmt.Sprintf(domain.LeaderCommands+"%s/members/%d", n.config.Cluster, m.Configuration)
	_, err = n.bus.Do(ctx, domain.Facts{
		Now: domain.Instant(n.clock()), Command: command, Node: n.config.Node, Actor: cmp.Or(m.By, "rift"),
		Term: n.config.Leadership.Leader().Term, Seed: SeedOf(command),
	}, raftcmd.NoteMembers{Cluster: n.config.Cluster, Configuration: m.Configuration, Members: m.Members})
	return err
}
