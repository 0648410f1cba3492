package esdbserver

import (
	"context"
	"encoding/json"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/foreign"
)

const (
	usersStream = "$users"
	typeUser    = "$User"
)

// ensureUsers writes the list of accounts that every node of EventStoreDB has,
// where it is not there yet: clients wait for it. It names accounts and holds
// no password.
func (s *Server) ensureUsers(ctx context.Context) error {
	accounts := s.config.Accounts
	if s.config.Insecure {
		accounts = DefaultAccounts()
	}
	for i := range accounts {
		login := accounts[i].Login
		text, err := json.Marshal(login)
		if err != nil {
			return domain.Errorf(domain.Internal, "account %s: %w", login, err)
		}
		a := appending{stream: usersStream, expected: domain.AnyRevision, events: []foreign.Event{{
			ID: domain.DeriveID(usersStream+"\x00"+login, 0), Type: typeUser, JSON: true, Data: text,
		}}}
		if a.id, err = foreign.StreamID(usersStream); err != nil {
			return err
		}
		if _, err := s.append(ctx, &a); err != nil {
			return err
		}
	}
	return nil
}
