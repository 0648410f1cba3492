package elo

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// ExcludeGames excludes games from the ratings of a game: one of them, or all past
// and future ones of a worker.
type ExcludeGames struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Worker    domain.NodeID    `json:"worker,omitempty" doc:"or"`
	MatchID   string           `json:"match_id,omitempty" doc:"the id of the match, or of an evaluation's fact"`
	Reason    string           `json:"reason"`
}

func (ExcludeGames) CommandType() string       { return "elo.exclude" }
func (c ExcludeGames) Stream() domain.StreamID { return c.ConfigKey.EloStream() }

// LiftExclusion makes excluded games count again.
type LiftExclusion struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Worker    domain.NodeID    `json:"worker,omitempty"`
	MatchID   string           `json:"match_id,omitempty"`
	Reason    string           `json:"reason,omitempty"`
}

func (LiftExclusion) CommandType() string       { return "elo.include" }
func (c LiftExclusion) Stream() domain.StreamID { return c.ConfigKey.EloStream() }

func completeExclusion(c ExcludeGames, _ domain.Facts) (ExcludeGames, error) {
	event := elo.GamesExcluded{ConfigKey: c.ConfigKey, Worker: c.Worker, MatchID: c.MatchID, Reason: c.Reason}
	return c, domain.Faulty("elo.exclude", event.Validate())
}

func completeLift(c LiftExclusion, _ domain.Facts) (LiftExclusion, error) {
	event := elo.ExclusionLifted{ConfigKey: c.ConfigKey, Worker: c.Worker, MatchID: c.MatchID, Reason: c.Reason}
	return c, domain.Faulty("elo.include", event.Validate())
}

// excludeGames excludes games and rates all their players again.
func excludeGames(r elo.Ratings, c ExcludeGames, facts domain.Facts) ([]domain.Event, error) {
	x := elo.Excluded{Worker: c.Worker, MatchID: c.MatchID}
	if r.Excludes(x) {
		return nil, nil
	}
	if c.MatchID != "" && !r.Knows(c.MatchID) {
		return nil, domain.Errorf(domain.NotFound, "no fact of %s is called %s", c.ConfigKey, domain.Clip(c.MatchID, 64))
	}
	event := elo.GamesExcluded{ConfigKey: c.ConfigKey, Worker: c.Worker, MatchID: c.MatchID, Reason: c.Reason, Facts: r.Concerned(x)}
	return rerated(r, []domain.Event{event}, c.ConfigKey, facts), nil
}

// liftExclusion makes games count again and rates all their players again.
func liftExclusion(r elo.Ratings, c LiftExclusion, facts domain.Facts) ([]domain.Event, error) {
	x := elo.Excluded{Worker: c.Worker, MatchID: c.MatchID}
	if !r.Excludes(x) {
		return nil, domain.Errorf(domain.NotFound, "%s is not excluded from the ratings of %s", x, c.ConfigKey)
	}
	event := elo.ExclusionLifted{ConfigKey: c.ConfigKey, Worker: c.Worker, MatchID: c.MatchID, Reason: c.Reason, Facts: r.Concerned(x)}
	return rerated(r, []domain.Event{event}, c.ConfigKey, facts), nil
}
