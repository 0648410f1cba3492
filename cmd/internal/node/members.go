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

// Membership is one configuration of the members that replicate the log.
type Membership struct {
	Configuration uint64
	By            string // who asked for it; empty: it is the first one
	Members       []raft.Member
}

// membersAgain is the time after which a node asks again for members that cannot be
// recorded yet.
const membersAgain = 5 * time.Second

// KeepMembers records each change of the members once, while this node leads, until ctx
// ends.
func (n *Node) KeepMembers(ctx context.Context) error {
	for n.untilLeads(ctx) {
		led := n.config.Leadership.Changes()
		members, changed := n.config.Members()
		again := time.After(membersAgain)
		if members != nil {
			err := n.noteMembers(ctx, members)
			if err == nil {
				again = nil
			} else if ctx.Err() == nil && n.Leads() {
				n.logger.Warn("who the members are is not recorded; it is tried again", "error", err, "retry_in", maxRetry)
				again = time.After(maxRetry)
			}
		}
		select {
		case <-again:
		case <-changed:
		case <-led:
		case <-ctx.Done():
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
