package sshrun

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ringrift/rift/commands"
	sshcmd "github.com/ringrift/rift/commands/sshtournament"
	"github.com/ringrift/rift/domain"
	sshtournament "github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// campaign is one run coordinated by this node. Its loop is one goroutine; attempts
// at shards have one each.
type campaign struct {
	config  Config
	backend transport.Backend
	slots   *slots
	id      sshtournament.ID
	keys    *hostKeys
	run     sshtournament.Run
	next    domain.Revision // revision to fold next
	rests   map[string]rest
	busy    map[int]bool // shards with an attempt of this node
	ended   chan int     // shards whose attempt has ended
}

// slots counts the commands that run on hosts, over all runs.
type slots struct {
	mu   sync.Mutex
	used map[string]int
}

func (s *slots) take(address string, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[address] >= most {
		return false
	}
	s.used[address]++
	return true
}

func (s *slots) give(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[address]--; s.used[address] == 0 {
		delete(s.used, address)
	}
}

func (s *slots) load(address string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used[address]
}

// refresh folds the newest events of the run.
func (c *campaign) refresh(ctx context.Context) error {
	for e, err := range c.backend.Log().Read(ctx, c.id.Stream(), c.next, eventlog.Forward) {
		if err == nil {
			err = c.backend.Catalog().Fill(&e)
		}
		if err != nil {
			return err
		}
		c.run, c.next = c.run.Evolve(e), e.Revision+1
	}
	return nil
}

// play coordinates the run until it is over or ctx ends.
func (c *campaign) play(ctx context.Context) error {
	if err := c.refresh(ctx); err != nil {
		return err
	}
	for shard := range c.run.Shards() { // started by a coordinator that stopped
		if shard.Host != "" {
			how := sshcmd.End{RunID: c.id, Shard: shard.Number, Attempt: shard.Attempts, How: sshtournament.EndInterrupted, Reason: "the coordinator stopped"}
			if _, err := c.do(ctx, how); err != nil && domain.CodeOf(err) != domain.Conflict {
				return err
			}
		}
	}
	attempts, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	timer := time.NewTicker(c.config.Look)
	defer timer.Stop()
	for {
		if err := c.refresh(ctx); err != nil {
			return err
		}
		if c.run.Over() || c.run.Started == nil {
			return nil
		}
		for shard := range c.run.Shards() {
			if shard.State() != "waiting" || c.busy[shard.Number] {
				continue
			}
			host, found := c.choose(shard)
			if !found {
				continue
			}
			c.busy[shard.Number] = true
			started := *c.run.Started // a copy, since the loop folds the run meanwhile
			running.Go(func() {
				c.attempt(attempts, started, shard, host)
				c.slots.give(host)
				select {
				case c.ended <- shard.Number:
				case <-attempts.Done():
				}
			})
		}
		select {
		case shard := <-c.ended:
			delete(c.busy, shard)
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// choose takes a slot on a host for a shard: preferably a host where it has not
// failed yet, and among those the one with the least load.
func (c *campaign) choose(shard sshtournament.Progress) (name string, found bool) {
	var fresh, used []string
	for _, name := range c.run.Started.Hosts {
		switch {
		case c.run.Host(name).Dropped != "":
		case slices.Contains(shard.Tried, name):
			used = append(used, name)
		default:
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 {
		fresh = used
	}
	least := -1
	for _, one := range fresh {
		if c.resting(one) {
			continue
		}
		if load := c.slots.load(one); load < c.run.Started.MaxParallelPerHost && (least < 0 || load < least) {
			name, least = one, load
		}
	}
	return name, least >= 0 && c.slots.take(name, c.run.Started.MaxParallelPerHost)
}

// rest is how long a failed host is not used.
type rest struct {
	failures int
	until    time.Time
}

// longestRest limits it.
const longestRest = time.Minute

func (c *campaign) resting(name string) bool {
	failures := c.run.Host(name).Failures
	if failures == 0 {
		return false
	}
	known := c.rests[name]
	if known.failures != failures {
		known = rest{failures, time.Now().Add(min(c.config.Backoff<<min(failures-1, 16), longestRest))}
		c.rests[name] = known
	}
	return time.Now().Before(known.until)
}

// attempt runs the command of a shard once and reports how it ended. If ctx ends it
// reports nothing; the next coordinator does.
func (c *campaign) attempt(ctx context.Context, started sshtournament.Started, shard sshtournament.Progress, name string) {
	log := c.config.Logger.With("run", c.id, "shard", shard.Number, "host", name)
	host, err := sshtournament.ParseHost(name)
	if err != nil {
		return // checked at the start of the run
	}
	number := shard.Attempts + 1
	if _, err := c.do(ctx, sshcmd.Begin{RunID: c.id, Shard: shard.Number, Attempt: number, Host: name}); err != nil {
		log.Warn("a shard is not begun", "error", err)
		within(c.config.Look, ctx.Done())
		return
	}
	bounded, cancel := context.WithTimeout(ctx, started.ShardSeconds.Duration())
	defer cancel()
	input, err := inputOf(started, shard)
	if err == nil {
		err = c.config.play(bounded, c.keys, host, started.Command, input, func(line []byte) error {
			return c.take(bounded, shard.Number, number, line)
		})
	}
	if ctx.Err() != nil {
		return
	}
	end := sshcmd.End{RunID: c.id, Shard: shard.Number, Attempt: number, How: sshtournament.EndDone}
	var broken *hostError
	var wrong *commandError
	switch {
	case err == nil:
	case bounded.Err() != nil:
		end.How, end.Reason = sshtournament.EndFailed, "it ran over its time of "+started.ShardSeconds.Duration().String()
	case errors.As(err, &broken):
		end.How, end.Reason, end.Unfit = sshtournament.EndHost, err.Error(), broken.unfit
	case errors.As(err, &wrong):
		end.How, end.Reason = sshtournament.EndFailed, err.Error()
	default: // the node's own
		end.How, end.Reason = sshtournament.EndInterrupted, err.Error()
		within(c.config.Look, ctx.Done())
	}
	log.Info("an attempt at a shard is over", "attempt", number, "how", end.How, "reason", end.Reason)
	if _, err := c.do(ctx, end); err != nil && domain.CodeOf(err) != domain.Conflict {
		log.Warn("the end of an attempt is not recorded", "error", err)
	}
}

// inputOf returns the input of a shard's command: its missing games.
func inputOf(started sshtournament.Started, shard sshtournament.Progress) ([]byte, error) {
	type player struct {
		ModelID string `json:"model_id"`
	}
	type game struct {
		ConfigKey    domain.ConfigKey `json:"config_key,omitempty"`
		GameID       string           `json:"game_id"`
		Seed         uint64           `json:"seed"`
		Opening      uint64           `json:"opening"`
		Participants []player         `json:"participants"`
	}
	var payload struct {
		ConfigKey domain.ConfigKey `json:"config_key,omitempty"`
		Games     []game           `json:"games"`
	}
	payload.ConfigKey = started.ConfigKey
	for _, number := range shard.Missing() {
		seed, opening := started.SeedOf(shard.Matchup, number)
		one := game{ConfigKey: started.ConfigKey, GameID: started.GameID(shard.Matchup, number), Seed: seed, Opening: opening}
		for _, name := range shard.Seats(number) {
			one.Participants = append(one.Participants, player{name})
		}
		payload.Games = append(payload.Games, one)
	}
	return json.Marshal(payload)
}

// take records the result in a line of output.
func (c *campaign) take(ctx context.Context, shard, attempt int, line []byte) error {
	answers, err := tournament.ParseAnswers(line)
	if err != nil {
		return failed("%w, found %q", err, domain.Clip(string(line), 80))
	}
	result, err := c.do(ctx, sshcmd.Take{RunID: c.id, Shard: shard, Attempt: attempt, Games: answers})
	switch {
	case domain.CodeOf(err) == domain.Invalid && err != nil:
		return failed("%w", err)
	case err != nil:
		return err
	}
	if taken, ok := result.Answer.(sshcmd.Taken); ok && taken.Missing == 0 {
		return errEnough
	}
	return nil
}

// tries is how often a command of a coordinator is tried while it may succeed
// later.
const tries = 5

// do runs a command on the node.
func (c *campaign) do(ctx context.Context, command domain.Command) (result commands.Result, err error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	call := transport.Call{Command: command, ID: "ssh-" + hex.EncodeToString(id[:]), Actor: "ssh_tournament"}
	for try := range tries {
		if result, err = c.backend.Do(ctx, call); err == nil || !domain.CodeOf(err).Retryable() {
			break
		}
		within(c.config.Look<<try/4, ctx.Done())
	}
	return result, err
}
