package elo

import (
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
)

// ExclusionRow is an exclusion from the ratings of a game, with its reason.
type ExclusionRow struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Worker    domain.NodeID    `json:"worker,omitempty"`
	MatchID   string           `json:"match_id,omitempty"`
	Reason    string           `json:"reason"`
	Facts     int              `json:"facts" doc:"that counted when it was excluded"`
	Actor     string           `json:"actor,omitempty"`
	At        time.Time        `json:"at"`
	Position  domain.Position  `json:"position"`
}

func exclusionKey(config domain.ConfigKey, x elo.Excluded) string {
	return projections.Pair(string(config), x.Key())
}

func (k keeper) exclude(tx projections.Tx, e domain.Envelope, x elo.GamesExcluded) error {
	key := exclusionKey(x.ConfigKey, x.Excluded())
	if _, stands, err := eloExcludedTable.Get(tx, key); err != nil || stands {
		return err
	}
	if err := eloExcludedTable.Put(tx, key, ExclusionRow{x.ConfigKey, x.Worker, x.MatchID, x.Reason, x.Facts, e.Meta.Actor, e.Time, e.Position}); err != nil {
		return err
	}
	return k.changed(tx, x.ConfigKey, x.Excluded(), true)
}

func (k keeper) lift(tx projections.Tx, _ domain.Envelope, x elo.ExclusionLifted) error {
	key := exclusionKey(x.ConfigKey, x.Excluded())
	if _, stands, err := eloExcludedTable.Get(tx, key); err != nil || !stands {
		return err
	}
	if err := eloExcludedTable.Delete(tx, key); err != nil {
		return err
	}
	return k.changed(tx, x.ConfigKey, x.Excluded(), false)
}

// changed marks a match as excluded or counted again. The games of an excluded
// worker are skipped when they are read; here only the checkpoints that have them
// are deleted.
func (k keeper) changed(tx projections.Tx, config domain.ConfigKey, x elo.Excluded, excluded bool) error {
	if x.Worker != "" {
		return k.forget(tx, config, "")
	}
	ref, known, err := eloFactsTable.Get(tx, projections.Pair(string(config), x.MatchID))
	if err != nil || !known {
		return err
	}
	key := projections.Pair(string(config), ref.Order)
	played, found, err := eloOrderTable.Get(tx, key)
	if err != nil || !found || played.Excluded == excluded {
		return err
	}
	played.Excluded = excluded
	sign := 1
	if excluded {
		sign = -1
	}
	if err := countOutcomes(tx, config, played, sign); err != nil {
		return err
	}
	if err := eloOrderTable.Put(tx, key, played); err != nil {
		return err
	}
	return k.forget(tx, config, ref.Order)
}

// excludedWorkers returns the workers whose games do not count.
func excludedWorkers(v projections.View, config domain.ConfigKey) (map[domain.NodeID]bool, error) {
	workers := map[domain.NodeID]bool{}
	for entry, err := range eloExcludedTable.Scan(v, projections.Span{Prefix: projections.Pair(string(config), "worker\x00")}) {
		if err != nil {
			return nil, err
		}
		workers[entry.Row.Worker] = true
	}
	return workers, nil
}

// ExclusionsAsked is the query for the exclusions of a game.
type ExclusionsAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	From      string `query:"from" doc:"the next of the page before"`
	Limit     int    `query:"limit"`
}

// ExclusionsAnswer lists matches, then workers, each sorted by name.
type ExclusionsAnswer struct {
	Exclusions []ExclusionRow `json:"exclusions"`
	Next       string         `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// Exclusions returns the exclusions of a game, with their reasons.
func Exclusions(v projections.View, q ExclusionsAsked) (ExclusionsAnswer, error) {
	if err := known(q.ConfigKey); err != nil {
		return ExclusionsAnswer{}, err
	}
	span := projections.Span{Prefix: projections.Pair(q.ConfigKey, "")}
	if q.From != "" {
		from, faults := exclusionFrom(q.From)
		if err := domain.Faulty("query", faults); err != nil {
			return ExclusionsAnswer{}, err
		}
		span.From = projections.Pair(q.ConfigKey, from.Key())
	}
	rows, next, err := projections.PageOf(v, eloExcludedTable, span, q.Limit, projections.Every)
	answer := ExclusionsAnswer{Exclusions: rows}
	if next.Key != "" {
		answer.Next = next.Row.kind() + ":" + next.Row.name()
	}
	return answer, err
}

func (r ExclusionRow) kind() string {
	if r.Worker != "" {
		return "worker"
	}
	return "match"
}

func (r ExclusionRow) name() string {
	if r.Worker != "" {
		return string(r.Worker)
	}
	return r.MatchID
}

// exclusionFrom parses where a page begins: match:ID or worker:NAME.
func exclusionFrom(text string) (elo.Excluded, []domain.Fault) {
	switch kind, name, _ := strings.Cut(text, ":"); kind {
	case "match":
		return elo.Excluded{MatchID: name}, nil
	case "worker":
		return elo.Excluded{Worker: domain.NodeID(name)}, nil
	}
	return elo.Excluded{}, []domain.Fault{{Field: "from", Reason: "want match:ID or worker:NAME, found " + domain.Clip(text, 64)}}
}
