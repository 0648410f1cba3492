package script

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/clustersim"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
)

// How long a script waits for a leader and for an answer, in the cluster's simulated time.
const (
	electWithin  = 30 * time.Second
	answerWithin = 10 * time.Second
)

// ofCluster are the further directives of a script of several nodes.
var ofCluster = map[string]func(*Env, context.Context, *datadriven.TestData) (string, error){
	"cluster":   (*Env).clusterOf,
	"partition": (*Env).fault,
	"loss":      (*Env).fault,
	"slow":      (*Env).fault,
	"full":      (*Env).fault,
	"clock":     (*Env).fault,
	"pause":     (*Env).fault,
	"transfer":  (*Env).fault,
	"demote":    (*Env).fault,
	"rivals":    (*Env).fault,
	"replace":   (*Env).fault,
	"heal":      (*Env).heal,
	"deliver":   (*Env).deliver,
	"drop":      (*Env).drop,
	"standing":  (*Env).standing,
	"services":  (*Env).services,
	"call":      (*Env).call,
	"audit":     (*Env).audit,
}

// clusterOf replaces the node of the script by several nodes with a replicated log, and
// waits until one of them leads. With items, simulated workers run them while time
// passes, as in rift simulate cluster.
//
// With with=services the nodes also run the services of a node: elections, gossip,
// failure detection and relayed calls.
//
//	cluster n1 n2 n3 [learner=n4] [seed=1] [with=services] [nodes=40 items=40 span=720h [breaks=double-vote]]
func (env *Env) clusterOf(ctx context.Context, d *datadriven.TestData) (string, error) {
	if env.shown > 0 || env.cluster != nil {
		return "", domain.Errorf(domain.Invalid, "cluster: want it first in a script")
	}
	var voters, learners []domain.NodeID
	plan, beside := clustersim.Plan{Seed: 1}, false
	for _, arg := range d.CmdArgs {
		if len(arg.Vals) == 0 {
			voters = append(voters, domain.NodeID(arg.Key))
			continue
		}
		var err error
		switch value := arg.Vals[0]; arg.Key {
		case "learner":
			learners = append(learners, domain.NodeID(value))
		case "seed":
			plan.Seed, err = strconv.ParseUint(value, 10, 64)
		case "nodes":
			plan.Nodes, err = strconv.Atoi(value)
		case "items":
			plan.Items, err = strconv.Atoi(value)
		case "span":
			plan.Span, err = time.ParseDuration(value)
		case "with":
			if beside = value == "services"; !beside {
				err = fmt.Errorf("want services")
			}
		case "breaks":
			plan.Breaks = value
		default:
			err = fmt.Errorf("no such argument")
		}
		if err != nil {
			return "", domain.Errorf(domain.Invalid, "cluster: %s: %w", arg, err)
		}
	}
	if len(voters) == 0 {
		return "", domain.Errorf(domain.Invalid, "cluster: want the names of nodes, like n1 n2 n3")
	}
	if err := env.Close(); err != nil {
		return "", err
	}
	env.node = nil
	var err error
	if plan.Items > 0 {
		if env.world, err = clustersim.Begin(plan.Of(voters, learners)); err != nil {
			return "", err
		}
		env.cluster = env.world.Cluster
	} else {
		env.cluster, err = clustersim.New(clustersim.Config{Seed: plan.Seed, Voters: voters, Learners: learners, Node: env.configure, Services: beside, Steady: beside})
		if err != nil {
			return "", err
		}
		if !env.cluster.Until(electWithin, func() bool { return env.leads() != nil }) {
			return "", domain.Errorf(domain.Unavailable, "nobody leads after %v", electWithin)
		}
		return env.passed(ctx, time.Second)
	}
	return env.news(ctx)
}

// leads returns the node that leads, nil if none does.
func (env *Env) leads() *clustersim.Host {
	if h := env.cluster.Leader(); h != nil && h.Log().Leader().Self {
		return h
	}
	return nil
}

// configure sets what the script's options demand of a node.
func (env *Env) configure(config *node.Config) {
	config.Store.BatchMax, config.Store.CacheRows, config.Store.OnRead = env.options.BatchMax, env.options.CacheRows, env.options.read
	config.Done = env.options.done
}

// to selects the node that a directive is for: the node that it names, else the leader,
// else the first node that runs. It does nothing in a script of one node.
func (env *Env) to(d *datadriven.TestData) error {
	if _, whole := ofCluster[cmp.Or(d, &datadriven.TestData{}).Cmd]; env.cluster == nil || whole || d != nil && (d.Cmd == "tick" || d.Cmd == "crash") {
		return nil // the directive is for no particular node
	}
	var h *clustersim.Host
	name, named := "", false
	if d != nil {
		name, named = argument(d, "node")
	}
	switch {
	case named:
		if h = env.cluster.Host(name); h == nil {
			return domain.Errorf(domain.NotFound, "want a node of the cluster, found %q", name)
		}
	default:
		h = env.leads()
		for _, one := range env.cluster.Hosts() {
			if h == nil && one.Node() != nil {
				h = one
			}
		}
	}
	if h == nil || h.Node() == nil {
		return domain.Errorf(domain.Unavailable, "node %s does not run", name)
	}
	env.now = env.cluster.Now()
	if env.host == h && env.node == h.Node() {
		return nil
	}
	env.host, env.node, env.log, env.handler = h, h.Node(), h.Log(), nil
	return nil
}

// on runs do on the selected node. In a cluster, time passes until it is done.
func (env *Env) on(do func()) error {
	if env.cluster == nil {
		do()
		return nil
	}
	done := false
	env.host.Do(func() { do(); done = true })
	if !env.cluster.Until(answerWithin, func() bool { return done }) {
		return domain.Errorf(domain.Timeout, "node %s does not answer within %v", env.host.Name(), answerWithin)
	}
	return nil
}

// passed lets time pass in a cluster, and then the leader run what is due.
func (env *Env) passed(ctx context.Context, d time.Duration) (string, error) {
	env.cluster.KeepTicking() // so that followers learn what is committed
	env.cluster.Run(d)
	if h := env.leads(); h != nil {
		h.Housekeep()
		env.cluster.Until(answerWithin, func() bool { return h.Resting() })
	}
	return env.news(ctx)
}

// fault causes a fault of a node; "leader" is the node that leads. It is the directive of
// every kind of fault:
//
//	partition n1 [from=n2] [way=in|out] [keep] [for=40s]
//	loss n1 share=30 [for=40s]
//	slow n1 by=2s [for=40s]
//	crash n1 [keep=50] [seed=1] [syncs=3] [for=10s]
//	full n1 [for=40s]
//	clock n1 by=-1h
//	pause n1 for=20s
//	transfer leader
//	demote n1 [for=1m]
//	rivals leader [syncs=1] [for=1m]
//	replace n1 [for=1m]
func (env *Env) fault(ctx context.Context, d *datadriven.TestData) (string, error) {
	if env.cluster == nil || len(d.CmdArgs) == 0 {
		return "", domain.Errorf(domain.Invalid, "%s: want a cluster, and the name of a node of it", d.Cmd)
	}
	f := clustersim.Fault{Kind: clustersim.Kind(d.Cmd), Host: d.CmdArgs[0].Key}
	for _, arg := range d.CmdArgs[1:] {
		value := strings.Join(arg.Vals, ",")
		var err error
		switch arg.Key {
		case "from":
			f.From = strings.Split(value, "+")
		case "way":
			f.Way = value
		case "for":
			f.For, err = time.ParseDuration(value)
		case "by":
			f.By, err = time.ParseDuration(value)
		case "share":
			f.Share, err = strconv.Atoi(value)
		case "syncs":
			f.Syncs, err = strconv.Atoi(value)
		case "seed":
			f.Seed, err = strconv.ParseUint(value, 10, 64)
		case "keep":
			if f.Keep = value == ""; !f.Keep {
				f.Share, err = strconv.Atoi(value)
			}
		default:
			err = fmt.Errorf("no such argument")
		}
		if err != nil {
			return "", domain.Errorf(domain.Invalid, "%s: %s: %w", d.Cmd, arg, err)
		}
	}
	inflict := env.cluster.Inflict
	if env.world != nil {
		inflict = env.world.Inflict
	}
	if err := inflict(f); err != nil {
		return "", err
	}
	return env.news(ctx)
}

// heal repairs all links, disks and processes of a cluster.
//
//	heal
func (env *Env) heal(ctx context.Context, _ *datadriven.TestData) (string, error) {
	if env.cluster == nil {
		return "", domain.Errorf(domain.Invalid, "heal: want a cluster")
	}
	env.cluster.Heal()
	return env.news(ctx)
}

// deliver delivers messages that a partition holds back.
//
//	deliver [from=n1] [to=n2] [type=MsgApp]
func (env *Env) deliver(ctx context.Context, d *datadriven.TestData) (string, error) {
	return env.messages(ctx, d, (*clustersim.Cluster).Deliver)
}

// drop drops messages that a partition holds back.
//
//	drop [from=n1] [to=n2] [type=MsgApp]
func (env *Env) drop(ctx context.Context, d *datadriven.TestData) (string, error) {
	return env.messages(ctx, d, (*clustersim.Cluster).Drop)
}

func (env *Env) messages(ctx context.Context, d *datadriven.TestData, do func(*clustersim.Cluster, func(clustersim.Message) bool) []clustersim.Message) (string, error) {
	if env.cluster == nil {
		return "", domain.Errorf(domain.Invalid, "%s: want a cluster", d.Cmd)
	}
	is := func(key, value string) bool {
		wanted, given := argument(d, key)
		return !given || wanted == value
	}
	var b strings.Builder
	counts := map[string]int{}
	var order []string
	for _, m := range do(env.cluster, func(m clustersim.Message) bool {
		return is("from", string(m.From)) && is("to", string(m.To)) && is("type", m.Type)
	}) {
		line := fmt.Sprintf("%s to %s: %s", m.From, m.To, m.Type)
		if m.Term > 0 {
			line += fmt.Sprintf(" of term %d", m.Term)
		}
		if counts[line]++; counts[line] == 1 {
			order = append(order, line)
		}
	}
	for _, line := range order {
		fmt.Fprintf(&b, "%s, %d times\n", line, counts[line])
	}
	news, err := env.news(ctx)
	return b.String() + news, err
}

// standing shows the state of each node of a cluster.
//
//	standing
func (env *Env) standing(context.Context, *datadriven.TestData) (string, error) {
	if env.cluster == nil {
		return "", domain.Errorf(domain.Invalid, "standing: want a cluster")
	}
	var b strings.Builder
	for _, h := range env.cluster.Hosts() {
		fmt.Fprintln(&b, h)
	}
	return b.String(), nil
}

// services shows the state of one service of each node.
//
//	services election|gossip|swim|relay
func (env *Env) services(_ context.Context, d *datadriven.TestData) (string, error) {
	if env.cluster == nil || len(d.CmdArgs) != 1 {
		return "", domain.Errorf(domain.Invalid, "services: want a cluster, and one of %v", clustersim.Services)
	}
	lines, err := env.cluster.Show(d.CmdArgs[0].Key)
	return strings.Join(append(lines, ""), "\n"), err
}

// call makes a call from a node to one that cannot be called, through its mailbox at a
// hub. "services relay" shows the outcome.
//
//	call behind-1 through=n1 [from=n2] [kept]
func (env *Env) call(ctx context.Context, d *datadriven.TestData) (string, error) {
	if env.cluster == nil || len(d.CmdArgs) == 0 {
		return "", domain.Errorf(domain.Invalid, "call: want a cluster, and a node that cannot be called")
	}
	through, _ := argument(d, "through")
	from, given := argument(d, "from")
	if !given {
		from = through
	}
	at, beside := env.cluster.Host(through), env.cluster.Host(from)
	if at == nil || beside == nil {
		return "", domain.Errorf(domain.NotFound, "call: want nodes of the cluster, found through=%q and from=%q", through, from)
	}
	if err := env.cluster.Call(domain.NodeID(d.CmdArgs[0].Key), beside, at, d.HasArg("kept")); err != nil {
		return "", err
	}
	return env.news(ctx)
}

// audit heals a cluster, waits until its nodes have the same log, and shows which rules
// were broken.
//
//	audit
func (env *Env) audit(ctx context.Context, _ *datadriven.TestData) (string, error) {
	if env.cluster == nil {
		return "", domain.Errorf(domain.Invalid, "audit: want a cluster")
	}
	if env.world != nil {
		env.world.Finish(ctx)
	} else {
		env.cluster.Audit(ctx)
	}
	news, err := env.news(ctx)
	if err != nil {
		return "", err
	}
	for _, text := range env.cluster.Broken() {
		news += "broken: " + text + "\n"
	}
	if len(env.cluster.Broken()) == 0 {
		news += fmt.Sprintf("every rule held: %d events, %d terms with a leader\n", len(env.cluster.Truth()), env.cluster.Counts().Elections)
	}
	return news, nil
}
