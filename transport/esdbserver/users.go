package esdbserver

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/foreign"
)

const (
	usersStream = "$users"
	typeUser    = "$User"
)

// usersPause is the interval at which a node that does not lead tries again.
const usersPause = time.Second

// ensureUsers writes the list of accounts, which clients wait for. In a cluster the leader
// writes it, and the other nodes try again until it is there.
func (s *Server) ensureUsers(ctx context.Context) error {
	later := func(err error) bool {
		code := domain.CodeOf(err)
		return err != nil && (code == domain.NotLeader || code == domain.Unavailable)
	}
	err := s.writeUsers(ctx)
	if !later(err) {
		return err
	}
	s.tasks.Go(func() {
		ticker := time.NewTicker(usersPause)
		defer ticker.Stop()
		for later(err) {
			select {
			case <-ticker.C:
				err = s.writeUsers(ctx)
			case <-ctx.Done():
				return
			}
		}
		if err != nil && ctx.Err() == nil {
			s.logger.Error("the list of accounts is not written", "error", err)
		}
	})
	return nil
}

// writeUsers adds the missing accounts to the list, which has logins and no passwords.
func (s *Server) writeUsers(ctx context.Context) error {
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
		a := appendRequest{stream: usersStream, expected: domain.AnyRevision, events: []foreign.Event{{
			ID: domain.DeriveID(usersStream+"\x00"+login, 0), Type: typeUser, JSON: true, Data: text,
		}}}
		if a.id, err = foreign.StreamID(usersStream); err != nil {
			return err
		}
		_, there, err := s.log.Find(ctx, a.id, a.events[0].ID)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		if _, err := s.append(ctx, &a); err != nil {
			return err
		}
	}
	return nil
}
