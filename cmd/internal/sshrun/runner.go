package sshrun

import (
	"context"
	"sync"
	"time"

	sshtournament "github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/projections"
	sshview "github.com/ringrift/rift/projections/sshtournament"
	"github.com/ringrift/rift/transport"
)

// maxCampaigns limits the runs coordinated at once; others wait.
const maxCampaigns = 4

// Runner coordinates the runs of a node.
type Runner struct {
	config  Config
	backend transport.Backend
}

// New returns the runner of a node. It returns an error for an invalid
// configuration.
func New(config Config, backend transport.Backend) (*Runner, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	return &Runner{config.filled(), backend}, nil
}

// Run coordinates runs until ctx ends: new ones, and those that an earlier
// coordinator left. A node that loses the leadership stops all of them.
func (r *Runner) Run(ctx context.Context) error {
	slots := &slots{used: map[string]int{}}
	ticker := time.NewTicker(r.config.Look)
	defer ticker.Stop()
	for {
		if r.leads() {
			r.lead(ctx, ticker.C, slots)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (r *Runner) leads() bool { return r.config.Leads == nil || r.config.Leads() }

// lead coordinates runs until the node is no longer the leader, or ctx ends. All of
// its commands have ended when it returns.
func (r *Runner) lead(ctx context.Context, tick <-chan time.Time, slots *slots) {
	ctx, stop := context.WithCancel(ctx)
	var campaigns sync.WaitGroup
	defer campaigns.Wait()
	defer stop()
	running := map[sshtournament.ID]bool{}
	over := make(chan sshtournament.ID)
	for r.leads() {
		open, err := r.open(ctx)
		if err != nil && ctx.Err() == nil {
			r.config.Logger.Warn("runs over SSH are not known", "error", err)
		}
		for _, id := range open {
			if running[id] || len(running) == maxCampaigns {
				continue
			}
			running[id] = true
			campaigns.Go(func() {
				r.campaign(ctx, id, slots)
				select {
				case over <- id:
				case <-ctx.Done():
				}
			})
		}
		select {
		case id := <-over:
			delete(running, id)
		case <-tick:
		case <-ctx.Done():
			return
		}
	}
}

// open lists the runs in progress.
func (r *Runner) open(ctx context.Context) (open []sshtournament.ID, err error) {
	head, err := r.backend.Log().Head(ctx)
	if err != nil {
		return nil, err
	}
	err = r.backend.View(ctx, transport.At{}, head, func(v projections.View) (err error) {
		open, err = sshview.Open(v)
		return err
	})
	return open, err
}

func (r *Runner) campaign(ctx context.Context, id sshtournament.ID, slots *slots) {
	log := r.config.Logger.With("run", id)
	keys, err := newHostKeys(r.config.KnownHosts)
	if err != nil {
		log.Error("a run over SSH waits", "error", err)
		within(r.config.Look, ctx.Done())
		return
	}
	c := &campaign{
		config: r.config, backend: r.backend, slots: slots, id: id, keys: keys,
		rests: map[string]rest{}, busy: map[int]bool{}, ended: make(chan int),
	}
	log.Info("a run over SSH goes on")
	if err := c.play(ctx); err != nil && ctx.Err() == nil {
		log.Warn("a run over SSH is let go of, to be taken up again", "error", err)
		within(r.config.Look, ctx.Done())
		return
	}
	log.Info("a run over SSH is over, or let go of", "state", c.run.State())
}
