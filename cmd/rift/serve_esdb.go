package main

import (
	"crypto/tls"
	"log/slog"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/esdbserver"
)

// serveESDB returns the server for EventStoreDB clients; nil if they are not served.
// Without TLS they are served only if the settings ask for that. With EventStoreDB's
// well-known default passwords they are served only on the loopback address.
func serveESDB(settings config.Serve, log servedLog, cluster *clusterLog, leadership eventlog.Leadership, calls *tls.Config, memory memoryPlan, logger *slog.Logger) (*esdbserver.Server, error) {
	c := esdbserver.Config{Log: log, Logger: logger, Insecure: settings.InsecureESDB, MaxCalls: memory.calls(), Memory: memory.clients(), Leadership: leadership, Calls: calls}
	if cluster != nil {
		c.Members = cluster.seenByESDB
	}
	switch {
	case settings.InsecureESDB:
		logger.Warn("EventStoreDB clients are served without credentials")
	case settings.TLSCert == "" || settings.Log != "" || settings.ReadOnly:
		return nil, nil
	case settings.ESDBAccounts != "":
		text, err := config.ReadFile(settings.ESDBAccounts)
		if err != nil {
			return nil, domain.Errorf(domain.Invalid, "accounts of EventStoreDB clients: %w", err)
		}
		if c.Accounts, err = esdbserver.ReadAccounts(string(text)); err != nil {
			return nil, domain.Errorf(domain.Invalid, "accounts of EventStoreDB clients in %s: %w", settings.ESDBAccounts, err)
		}
	case transport.CheckListen(settings.Listen, nil, false) != nil:
		logger.Info("EventStoreDB clients are not served: beyond the loopback they want --esdb-accounts")
		return nil, nil
	default:
		logger.Warn("EventStoreDB clients on this machine have the accounts admin and ops with the password that every EventStoreDB begins with; name others with --esdb-accounts")
		c.Accounts = esdbserver.DefaultAccounts()
	}
	var err error
	if c.Admit, err = admission(); err != nil {
		return nil, err
	}
	return esdbserver.New(c)
}

// admission returns a check that refuses events of EventStoreDB clients which have a type
// or a stream of rift's. Events that rift wrote, and that return by this protocol, are
// accepted if the catalogue can decode them.
func admission() (func(domain.StreamID, *eventlog.Proposed) error, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	categories := map[string]bool{}
	for _, def := range catalog.Defs() {
		categories[def.Stream] = true
	}
	return func(stream domain.StreamID, event *eventlog.Proposed) error {
		if !foreign.Is(&event.Meta) {
			_, err := catalog.Decode(event.Type, event.Version, event.Data)
			return err
		}
		if _, ours := catalog.Lookup(event.Type); ours {
			return domain.Errorf(domain.Forbidden, "%s is an event of rift; give yours another type, or use the HTTP endpoints", event.Type)
		}
		if categories[stream.Category()] {
			return domain.Errorf(domain.Forbidden, "streams %s-… are rift's; give yours another name, or use the HTTP endpoints", stream.Category())
		}
		return nil
	}, nil
}
