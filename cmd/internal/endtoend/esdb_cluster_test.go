//go:build unix

package endtoend

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// create makes a group whose checkpoint is written when at least some events and at
// most others were handled.
func (c *clientsOf) create(stream, group string, least, most int32) {
	c.try(func(client *esdb.Client) error {
		settings := esdb.SubscriptionSettingsDefault()
		settings.CheckpointLowerBound, settings.CheckpointUpperBound = least, most
		err := client.CreatePersistentSubscription(c.ctx, stream, group, esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}, Settings: &settings})
		if known, fine := esdb.FromError(err); !fine && known.Code() == esdb.ErrorCodeResourceAlreadyExists {
			return nil // the answer to an earlier try was lost
		}
		return err
	})
}

// stats tells how a group is.
func (c *clientsOf) stats(stream, group string) (stats esdb.PersistentSubscriptionStats) {
	c.try(func(client *esdb.Client) error {
		info, err := client.GetPersistentSubscriptionInfo(c.ctx, stream, group, esdb.GetPersistentSubscriptionOptions{})
		if err == nil {
			stats = *info.Stats
		}
		return err
	})
	return stats
}

// The leader of three nodes is killed while a consumer of a group works, then stopped
// when all is done: no event is lost, none comes again that a checkpoint covers, and
// after the leader that stopped none at all.
func TestGroupsOutliveTheLeaderOfACluster(t *testing.T) {
	nodes := newCluster(t)
	nodes.more = []string{"--insecure-esdb"}
	var addresses []string
	for name, address := range nodes.at {
		nodes.start(name)
		addresses = append(addresses, address)
	}
	nodes.leader()
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Minute)
	defer stop()
	c := &clientsOf{t: t, address: strings.Join(addresses, ","), ctx: ctx, written: map[string][]uuid.UUID{}, seen: map[string]uint64{}, handled: map[uuid.UUID]bool{}}
	const stream = "written-0"
	c.create(stream, "crew", 1, 10)
	var writing, consuming sync.WaitGroup
	var enough atomic.Bool
	writing.Go(func() { c.write(stream, enough.Load) })
	consuming.Go(func() { c.consume(stream, "crew") })
	handles := func(more int) {
		t.Helper()
		want := c.count(func() int { return len(c.handled) }) + more
		eventually(t, "events are handled", func() bool { return c.count(func() int { return len(c.handled) }) >= want })
	}
	for range number(t, "RIFT_CLUSTER_ROUNDS", 2) {
		handles(60)
		leader := nodes.leader()
		if kept := c.stats(stream, "crew").LastCheckpointedEventRevision; kept != nil {
			c.mu.Lock()
			c.lowest = *kept + 1
			c.mu.Unlock()
		}
		nodes.nodes[leader].kill()
		delete(nodes.nodes, leader)
		handles(60)
		nodes.start(leader)
	}
	if c.lowest == 0 {
		t.Error("want a checkpoint before the leader is killed")
	}
	enough.Store(true)
	writing.Wait()
	all := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range c.written[stream] {
			if !c.handled[id] {
				return false
			}
		}
		return true
	}
	eventually(t, "the group has handed out everything", all)

	// A group whose checkpoint is not due until it ends.
	clear(c.handled)
	c.lowest = 0
	c.create(stream, "late", 1_000_000, 2_000_000)
	consuming.Go(func() { c.consume(stream, "late") })
	written := len(c.written[stream])
	eventually(t, "the second group has handed out everything", func() bool {
		s := c.stats(stream, "late")
		return all() && s.TotalItems == int64(written) && s.TotalInFlightMessages == 0
	})
	c.mu.Lock()
	c.lowest = uint64(written)
	c.mu.Unlock()
	leader := nodes.leader()
	nodes.nodes[leader].stop(syscall.SIGTERM)
	delete(nodes.nodes, leader)
	eventually(t, "the next leader has its checkpoint", func() bool {
		kept := c.stats(stream, "late").LastCheckpointedEventRevision
		return kept != nil && *kept == uint64(written-1)
	})
	stop()
	consuming.Wait()
	for _, p := range nodes.nodes {
		p.stop(syscall.SIGTERM)
	}
	t.Logf("%d appends acknowledged", written)
}
