package sshtournament

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	ssh "github.com/ringrift/rift/domain/sshtournament"
)

// Words is a list of words; in JSON either a list or a comma-separated string.
type Words []string

// UnmarshalJSON accepts either form.
func (w *Words) UnmarshalJSON(data []byte) error {
	var list []string
	if json.Unmarshal(data, &list) == nil {
		*w = list
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return domain.Errorf(domain.Invalid, "want a list of texts, or one text with commas between")
	}
	*w = nil
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*w = append(*w, word)
		}
	}
	return nil
}

// RunTournament starts a tournament whose games a command plays on other machines.
type RunTournament struct {
	RunID              ssh.ID           `json:"run_id,omitempty" doc:"made up when absent"`
	Hosts              Words            `json:"hosts" doc:"[user@]name[:port]"`
	Participants       Words            `json:"participants,omitempty"`
	Tiers              Words            `json:"tiers,omitempty" doc:"in their stead: \"D1-D4\", or \"D1,D3\""`
	ConfigKey          domain.ConfigKey `json:"config_key,omitempty"`
	GamesPerMatchup    int              `json:"games_per_matchup,omitempty"`
	GamesPerShard      int              `json:"games_per_shard,omitempty"`
	Command            []string         `json:"command" doc:"argv on the hosts; games come on its standard input"`
	Retries            *int             `json:"retries,omitempty"`
	MaxParallelPerHost int              `json:"max_parallel_per_host,omitempty"`
	ShardSeconds       domain.Seconds   `json:"shard_seconds,omitempty"`
	Unrated            bool             `json:"unrated,omitempty"`
	Seed               *uint64          `json:"seed,omitempty"`
	DryRun             bool             `json:"dry_run,omitempty" doc:"answer the shards and hosts, and run nothing"`
}

func (RunTournament) CommandType() string       { return "ssh_tournament.run" }
func (c RunTournament) Stream() domain.StreamID { return c.RunID.Stream() }

// Plan is the answer to RunTournament: the shards of the run.
type Plan struct {
	RunID    ssh.ID      `json:"run_id"`
	WouldRun bool        `json:"would_run,omitempty" doc:"nothing is run: this is what would be"`
	Hosts    []string    `json:"hosts"`
	Games    int         `json:"games"`
	Shards   []ssh.Shard `json:"shards"`
}

// maxSeed is the largest integer that every JSON reader represents exactly.
const maxSeed = 1<<53 - 1

// completeRun fills in fields from the policy and returns every fault.
func completeRun(c RunTournament, facts domain.Facts) (RunTournament, error) {
	policy := ssh.PolicyOf(facts.Policy)
	if c.RunID == "" {
		c.RunID = ssh.ID("ssh-" + domain.DeriveID(facts.Command, 0).String()[:13])
	}
	if c.Seed == nil {
		sum := domain.DeriveID(facts.Command, 1)
		seed := binary.BigEndian.Uint64(sum[:8]) >> 11
		c.Seed = &seed
	}
	if c.Retries == nil {
		c.Retries = &policy.Retries
	}
	c.GamesPerMatchup = orNumber(c.GamesPerMatchup, policy.GamesPerMatchup)
	c.GamesPerShard = orNumber(c.GamesPerShard, policy.GamesPerShard)
	c.MaxParallelPerHost = orNumber(c.MaxParallelPerHost, policy.ParallelPerHost)
	if c.ShardSeconds == 0 {
		c.ShardSeconds = policy.ShardSeconds
	}
	var check domain.Checks
	switch {
	case len(c.Tiers) > 0 && len(c.Participants) > 0:
		check.Fault("tiers", "want them or participants, found both")
	case len(c.Tiers) > 0:
		tiers, err := tiersOf(c.Tiers)
		if err != nil {
			check.Fault("tiers", "%s", err)
		}
		c.Participants, c.Tiers = tiers, nil
	}
	if *c.Seed > maxSeed {
		check.Fault("seed", "want at most %d, found %d", uint64(maxSeed), *c.Seed)
	}
	if c.MaxParallelPerHost > policy.MaxParallel {
		check.Fault("max_parallel_per_host", "want at most %d by the policy, found %d", policy.MaxParallel, c.MaxParallelPerHost)
	}
	started := c.started()
	faults := started.Validate()
	if len(faults) == 0 && len(started.Shards()) > policy.MaxShards {
		check.Fault("games_per_matchup", "want at most %d shards by the policy, found %d: play more games per shard", policy.MaxShards, len(started.Shards()))
	}
	return c, domain.Faulty("ssh_tournament.run", append(check, faults...))
}

func orNumber(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// tiersOf parses names such as D1, and ranges such as D1-D4.
func tiersOf(words []string) (tiers []string, _ error) {
	for _, text := range words {
		low, high, ranged := strings.Cut(text, "-")
		if !ranged {
			high = low
		}
		from, err := tier(low)
		to, other := tier(high)
		if err != nil || other != nil || to < from || to-from >= ssh.MaxParticipants {
			return nil, fmt.Errorf("want tiers such as D1, or D1-D4, found %q", domain.Clip(text, 64))
		}
		for n := from; n <= to; n++ {
			tiers = append(tiers, "D"+strconv.Itoa(n))
		}
		if len(tiers) > ssh.MaxParticipants {
			return nil, fmt.Errorf("want at most %d tiers, found more", ssh.MaxParticipants)
		}
	}
	return tiers, nil
}

func tier(text string) (int, error) {
	digits, found := strings.CutPrefix(text, "D")
	n, err := strconv.Atoi(digits)
	if err != nil || !found || n < 1 || n > 999 || strconv.Itoa(n) != digits {
		return 0, fmt.Errorf("want D and a number, found %q", domain.Clip(text, 64))
	}
	return n, nil
}

func (c RunTournament) started() ssh.Started {
	return ssh.Started{
		RunID: c.RunID, ConfigKey: c.ConfigKey, Hosts: c.Hosts, Participants: c.Participants, GamesPerMatchup: c.GamesPerMatchup,
		GamesPerShard: c.GamesPerShard, Command: c.Command, Retries: *c.Retries, MaxParallelPerHost: c.MaxParallelPerHost,
		ShardSeconds: c.ShardSeconds, Unrated: c.Unrated, Seed: *c.Seed,
	}
}

func run(r ssh.Run, c RunTournament, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case r.State() != "unknown":
		return nil, domain.Errorf(domain.Conflict, "run %s is there already: it is %s", c.RunID, r.State())
	case c.DryRun:
		return nil, nil
	case !domain.FactOf[ssh.Runner](facts).On:
		return nil, domain.Errorf(domain.Forbidden, "this node runs no tournaments over SSH: start it with --ssh-tournaments, --ssh-known-hosts, and --ssh-key or --ssh-agent")
	}
	return []domain.Event{c.started()}, nil
}

func planned(_ ssh.Run, c RunTournament, _ []domain.Envelope) Plan {
	started := c.started()
	return Plan{RunID: c.RunID, WouldRun: c.DryRun, Hosts: c.Hosts, Games: len(c.Participants) * (len(c.Participants) - 1) / 2 * c.GamesPerMatchup, Shards: started.Shards()}
}

// Cancel ends a run and its running commands. Its results are kept.
type Cancel struct {
	RunID  ssh.ID `json:"run_id"`
	Reason string `json:"reason,omitempty"`
}

func (Cancel) CommandType() string       { return "ssh_tournament.cancel" }
func (c Cancel) Stream() domain.StreamID { return c.RunID.Stream() }

// maxReason limits the text of a reason, in bytes.
const maxReason = 500

func cancel(r ssh.Run, c Cancel, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case r.Started == nil:
		return nil, unknown(c.RunID)
	case r.Cancelled != nil:
		return nil, nil
	case r.Over():
		return nil, domain.Errorf(domain.Conflict, "run %s is %s: there is nothing to cancel", c.RunID, r.State())
	}
	return []domain.Event{ssh.Cancelled{RunID: c.RunID, Reason: domain.Clip(c.Reason, maxReason)}}, nil
}

func unknown(id ssh.ID) error {
	return domain.Errorf(domain.NotFound, "no run %q is known", domain.Clip(string(id), 64))
}

// Specs returns the specs of the commands for tournaments over SSH.
func Specs() []commands.Spec {
	return []commands.Spec{
		commands.HandleAnswer("play a tournament by a command on other machines", run, planned, commands.Normalize(completeRun)),
		commands.Handle("end a tournament over SSH", cancel, commands.Normalize(func(c Cancel, _ domain.Facts) (Cancel, error) {
			return c, domain.Faulty("ssh_tournament.cancel", commands.NameFaults("run_id", string(c.RunID)))
		})),
		commands.Handle("lease a shard to a coordinator", begin),
		commands.HandleAnswer("take results that a host told", take, func(r ssh.Run, c Take, _ []domain.Envelope) Taken {
			shard, _ := r.Shard(c.Shard)
			return Taken{len(shard.Missing())}
		}),
		commands.Handle("say how an attempt at a shard ended", end),
	}
}
