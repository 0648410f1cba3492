package node

import (
	"context"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// storeOptions completes the options of the read models: which events are about their
// outbox, their dead letters and rebuilds.
func (n *Node) storeOptions(config Config) (store.Options, error) {
	options := config.Store
	options.Codec = wiring.FastCodec{}
	options.Logger = config.Logger
	options.SettleTypes = []string{admin.OutboxSettled{}.EventType()}
	options.Settles = func(e domain.Envelope) (domain.Position, bool) {
		settled, ok := e.Event.(admin.OutboxSettled)
		return settled.UpTo, ok && settled.Node != domain.NodeID(config.Node)
	}
	options.ActTypes = []string{admin.DeadLetterRetried{}.EventType(), admin.DeadLetterDiscarded{}.EventType(), admin.HandlerFailed{}.EventType()}
	options.Acts = letterAct
	options.RebuildTypes = []string{admin.ProjectionRebuildRequested{}.EventType()}
	options.Rebuilds = func(e domain.Envelope) (string, bool) {
		wish, ok := e.Event.(admin.ProjectionRebuildRequested)
		return wish.Name, ok && wish.Concerns(domain.NodeID(config.Node))
	}
	if config.Rebuilt {
		settled, err := lastSettled(n.log, n.catalog)
		if err != nil {
			return options, err
		}
		options.ReactFrom = func(_ string, opened domain.Position) domain.Position { return max(opened, settled) }
	}
	options.Now = config.Clock
	options.OnFailure = func(failure store.Failure) {
		select {
		case n.failures <- failure:
		default:
			n.lost.Add(1)
		}
	}
	return options, nil
}

// lastSettled returns the position up to which the commands of reactors have been run.
func lastSettled(log eventlog.Log, catalog *domain.Catalog) (domain.Position, error) {
	filter := eventlog.Filter{Types: []string{admin.OutboxSettled{}.EventType()}}
	for e, err := range log.ReadAll(context.Background(), eventlog.End, eventlog.Backward, filter) {
		if err == nil {
			err = catalog.Fill(&e)
		}
		if err != nil {
			return 0, err
		}
		if settled, ok := e.Event.(admin.OutboxSettled); ok {
			return settled.UpTo, nil
		}
	}
	return 0, nil
}
