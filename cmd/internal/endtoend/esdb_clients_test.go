//go:build unix

package endtoend

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
)

// clientsOf are official EventStoreDB clients of a node that is killed and started
// again at one address.
type clientsOf struct {
	t       *testing.T
	address string
	ctx     context.Context // ends when the test has seen enough

	mu      sync.Mutex
	written map[string][]uuid.UUID // by stream, what was acknowledged, by revision
	acked   int
	seen    map[string]uint64  // by stream, the revision that the subscription is to tell next
	handled map[uuid.UUID]bool // by the consumer of the group
	lowest  uint64             // revision that a consumer may be told, after what a checkpoint covers
	at      *esdb.Position     // of the subscription
	total   int                // events that it told
}

// try runs something with a client, again and again until it is done: a client that
// lost its node is of no use any more.
func (c *clientsOf) try(do func(*esdb.Client) error) {
	for c.ctx.Err() == nil {
		config, err := esdb.ParseConnectionString("esdb://" + c.address + "?tls=false&maxDiscoverAttempts=20&discoveryInterval=20&defaultDeadline=5000")
		if err != nil {
			c.t.Error(err)
			return
		}
		config.Logger = esdb.NoopLogging()
		client, err := esdb.NewClient(config)
		if err != nil {
			c.t.Error(err)
			return
		}
		err = do(client)
		_ = client.Close() // it has nothing left to lose
		if err == nil {
			return
		}
		select {
		case <-c.ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// write appends to a stream until the test has seen enough, each event at a revision
// that it expects. One without an answer is sent again as it was.
func (c *clientsOf) write(stream string, enough func() bool) {
	id, next := uuid.New(), 0
	c.try(func(client *esdb.Client) error {
		for !enough() {
			var expected esdb.ExpectedRevision = esdb.NoStream{}
			if next > 0 {
				expected = esdb.Revision(uint64(next - 1))
			}
			result, err := client.AppendToStream(c.ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, esdb.EventData{
				EventID: id, EventType: "Written", ContentType: esdb.ContentTypeJson, Data: fmt.Appendf(nil, `{"n":%d}`, next),
			})
			if known, fine := esdb.FromError(err); !fine && known.Code() == esdb.ErrorCodeWrongExpectedVersion {
				c.t.Errorf("append %d to %s, sent again as it was: %v", next, stream, err)
				return nil
			}
			if err != nil {
				return err
			}
			if result.NextExpectedVersion != uint64(next) {
				c.t.Errorf("append to %s: want revision %d, found %d", stream, next, result.NextExpectedVersion)
			}
			c.mu.Lock()
			c.written[stream] = append(c.written[stream], id)
			c.acked++
			c.mu.Unlock()
			id, next = uuid.New(), next+1
		}
		return nil
	})
}

// subscribe follows $all from where it was; nothing may be missed, told twice or out
// of order.
func (c *clientsOf) subscribe() {
	c.try(func(client *esdb.Client) error {
		options := esdb.SubscribeToAllOptions{From: esdb.Start{}}
		if c.at != nil {
			options.From = *c.at
		}
		live, err := client.SubscribeToAll(c.ctx, options)
		if err != nil {
			return err
		}
		defer live.Close()
		for {
			said := live.Recv()
			if said.SubscriptionDropped != nil {
				return fmt.Errorf("dropped: %w", said.SubscriptionDropped.Error)
			}
			if said.EventAppeared == nil {
				continue
			}
			e := said.EventAppeared.Event
			if c.at != nil && e.Position.Commit <= c.at.Commit {
				c.t.Errorf("subscription: position %d after %d", e.Position.Commit, c.at.Commit)
			}
			c.at = &e.Position
			if !strings.HasPrefix(e.StreamID, "written-") {
				continue
			}
			c.mu.Lock()
			if e.EventNumber != c.seen[e.StreamID] {
				c.t.Errorf("subscription: want revision %d of %s, found %d", c.seen[e.StreamID], e.StreamID, e.EventNumber)
			}
			c.seen[e.StreamID] = e.EventNumber + 1
			c.total++
			c.mu.Unlock()
		}
	})
}

// consume takes the events of a group and acknowledges them.
func (c *clientsOf) consume(stream, group string) {
	c.try(func(client *esdb.Client) error {
		c.mu.Lock()
		lowest := c.lowest // what is said of a group later holds for those who come later
		c.mu.Unlock()
		group, err := client.SubscribeToPersistentSubscription(c.ctx, stream, group, esdb.SubscribeToPersistentSubscriptionOptions{})
		if err != nil {
			return err
		}
		defer group.Close()
		for {
			said := group.Recv()
			if said.SubscriptionDropped != nil {
				return fmt.Errorf("dropped: %w", said.SubscriptionDropped.Error)
			}
			if said.EventAppeared == nil {
				continue
			}
			if told := said.EventAppeared.Event.OriginalEvent().EventNumber; told < lowest {
				c.t.Errorf("group of %s: want events from revision %d on, which a checkpoint has, found %d", stream, lowest, told)
			}
			if err := group.Ack(said.EventAppeared.Event); err != nil {
				return err
			}
			c.mu.Lock()
			c.handled[said.EventAppeared.Event.Event.EventID] = true
			c.mu.Unlock()
		}
	})
}

func (c *clientsOf) count(what func() int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return what()
}

// A node is killed under official clients: what it acknowledged is there, a
// subscription that goes on misses nothing, and a group hands out everything.
func TestKillUnderEventStoreDBClients(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data, "--insecure-esdb")
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Minute)
	defer stop()
	c := &clientsOf{t: t, address: node.address, ctx: ctx, written: map[string][]uuid.UUID{}, seen: map[string]uint64{}, handled: map[uuid.UUID]bool{}}
	const writers = 4
	name := func(i int) string { return fmt.Sprint("written-", i) }
	c.try(func(client *esdb.Client) error {
		settings := esdb.SubscriptionSettingsDefault()
		settings.CheckpointLowerBound, settings.CheckpointUpperBound = 1, 20
		return client.CreatePersistentSubscription(ctx, name(0), "crew", esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}, Settings: &settings})
	})
	var writing, following sync.WaitGroup
	done := make(chan struct{})
	for i := range writers {
		writing.Go(func() {
			c.write(name(i), func() bool {
				select {
				case <-done:
					return true
				default:
					return false
				}
			})
		})
	}
	following.Go(c.subscribe)
	following.Go(func() { c.consume(name(0), "crew") })
	for range 4 {
		want := c.count(func() int { return c.acked }) + 60
		eventually(t, "appends are acknowledged", func() bool { return c.count(func() int { return c.acked }) >= want })
		node.kill()
		node = serve(t, data, "--insecure-esdb", "--listen", c.address)
	}
	close(done)
	writing.Wait()
	eventually(t, "the subscription and the group have everything", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range c.written[name(0)] {
			if !c.handled[id] {
				return false
			}
		}
		return c.total == c.acked
	})
	stop()
	node.stop(syscall.SIGTERM)
	following.Wait()
	stored := map[string][]domain.EventID{}
	for _, e := range inspect(t, data) {
		if stream := string(e.Stream); strings.HasPrefix(stream, "written-") {
			stored[stream] = append(stored[stream], e.ID)
		}
	}
	for stream, acknowledged := range c.written {
		if len(stored[stream]) != len(acknowledged) {
			t.Errorf("%s: want the %d events that were acknowledged, found %d", stream, len(acknowledged), len(stored[stream]))
			continue
		}
		for revision, id := range acknowledged {
			if stored[stream][revision] != domain.EventID(id) {
				t.Errorf("%s: want event %s at revision %d, found %s", stream, id, revision, stored[stream][revision])
			}
		}
	}
	t.Logf("%d appends acknowledged", c.acked)
}
