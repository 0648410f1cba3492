package transport

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
)

// Limits on bad tokens from one address. A secret that is not Weak cannot
// be guessed however many attempts are made, so it is accepted from an
// address over the limit too: one caller with an outdated token must not
// lock out the others behind the same address.
const (
	maxStrikes   = 10 // within strikeWindow, which starts with the first one
	strikeWindow = time.Minute
)

// strikes counts the bad tokens by address, in two generations as callers
// does, so at most twice maxCallers addresses are remembered.
type strikes struct {
	mu         sync.Mutex
	young, old map[string]*strike
}

type strike struct {
	since time.Time
	count int
}

func newStrikes() *strikes { return &strikes{young: map[string]*strike{}} }

// wait returns how long until the bad tokens of an address no longer count;
// 0: it is not over the limit.
func (s *strikes) wait(address string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(address).wait(now)
}

// add counts a bad token. It returns how many there were in the window, and
// how long the address must wait if it is over the limit.
func (s *strikes) add(address string, now time.Time) (count int, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.find(address)
	if wait := one.wait(now); wait > 0 {
		return one.count, wait
	}
	if one == nil || !now.Before(one.since.Add(strikeWindow)) {
		one = &strike{since: now}
		delete(s.old, address)
	}
	one.count++
	if _, there := s.young[address]; !there && len(s.young) >= maxCallers {
		s.old, s.young = s.young, map[string]*strike{}
	}
	s.young[address] = one
	return one.count, 0
}

// find returns the entry of an address, or nil. The lock must be held.
func (s *strikes) find(address string) *strike {
	if one, there := s.young[address]; there {
		return one
	}
	return s.old[address]
}

func (s *strike) wait(now time.Time) time.Duration {
	if s == nil || s.count < maxStrikes {
		return 0
	}
	return max(0, s.since.Add(strikeWindow).Sub(now))
}

// identified returns the token of a request. A bad one is counted and
// logged, without the token itself; above the limit it is refused and only
// counted.
func (h *Handler) identified(ctx context.Context, x *exchange) (*shown, error) {
	secret := secretOf(x.request.Header.Get("Authorization"))
	if secret == "" {
		if name, shown := certified(x.request); shown && h.config.Certified {
			if token := h.guard.named(name); token != nil {
				return token, nil
			}
			return nil, domain.Errorf(domain.Forbidden, "certificate of %q: want one of a name that is in the token file", clip(name))
		}
		return nil, domain.Errorf(domain.Unauthorized, "want Authorization: Bearer <token>, found none")
	}
	token := h.guard.who(secret)
	if token != nil && !token.weak {
		return token, nil
	}
	address, now := addressOf(x.request.RemoteAddr), h.config.Now()
	if token != nil {
		if wait := h.strikes.wait(address, now); wait > 0 {
			return nil, tooManyBad(wait)
		}
		return token, nil
	}
	h.meters.badTokens.Inc()
	count, wait := h.strikes.add(address, now)
	if wait > 0 {
		return nil, tooManyBad(wait)
	}
	line := []slog.Attr{
		slog.String("from", address[1:]), slog.String("name", x.route.Name), slog.String("request_id", x.requestID()), slog.Int("count", count),
	}
	if count == maxStrikes {
		line = append(line, slog.Duration("limited_for", h.strikes.wait(address, now)))
	}
	h.config.Logger.LogAttrs(ctx, slog.LevelWarn, "a bad token was shown", line...)
	return nil, domain.Errorf(domain.Unauthorized, "the token is not a known one")
}

func tooManyBad(wait time.Duration) error {
	return &Later{After: wait, Err: domain.Errorf(domain.TooMany, "want at most %d bad tokens within %s from one address, found more", maxStrikes, strikeWindow)}
}
