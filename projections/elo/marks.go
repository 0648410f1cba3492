package elo

import (
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
)

// checkpointEvery is the number of facts between two checkpoints of incremental
// Elo.
const checkpointEvery = 2048

// keeper keeps checkpoints of incremental Elo with the policy's settings, so that a
// ranking only plays the facts after the last one, and a late fact only those after
// it. A fact that is inserted before checkpoints invalidates them: they are
// deleted, and every further fact restores one, so that no event costs more than
// one interval.
type keeper struct{ every int }

// mark is a checkpoint: its last fact, and the number of facts up to it.
type mark struct {
	Order string `json:"order"`
	Facts int    `json:"facts"`
}

// marksRow lists the checkpoints of a game, oldest first.
type marksRow struct {
	Facts int    `json:"facts"` // total number
	Marks []mark `json:"marks,omitempty"`
}

// settingsRow is the policy that the checkpoints were made with.
type settingsRow struct {
	Policy elo.Policy `json:"policy"`
}

const settingsKey = "policy"

func (k keeper) settings(v projections.View) (elo.Options, error) {
	row, found, err := eloSettingsTable.Get(v, settingsKey)
	if err != nil {
		return elo.Options{}, err
	}
	policy := elo.DefaultPolicy()
	if found {
		policy = row.Policy
	}
	options, _ := policy.Options(elo.Asked{Method: string(elo.MethodElo)}) // a policy in force is valid
	return options, nil
}

// policy deletes all checkpoints when their settings change.
func (k keeper) policy(tx projections.Tx, _ domain.Envelope, changed domain.PolicyChanged) error {
	if changed.Name != domain.PolicyDefaultName {
		return nil
	}
	document, err := domain.Sections{elo.DefaultPolicy()}.Read(changed.Policy)
	if err != nil {
		return err
	}
	if err := eloSettingsTable.Put(tx, settingsKey, settingsRow{elo.PolicyOf(document)}); err != nil {
		return err
	}
	for _, config := range domain.ConfigKeys() {
		if err := k.forget(tx, config, ""); err != nil {
			return err
		}
	}
	return nil
}

// forget deletes the checkpoints at or after a fact.
func (k keeper) forget(tx projections.Tx, config domain.ConfigKey, order string) error {
	row, found, err := eloMarksTable.Get(tx, string(config))
	if err != nil || !found {
		return err
	}
	return k.dropped(tx, config, &row, order)
}

func (k keeper) dropped(tx projections.Tx, config domain.ConfigKey, row *marksRow, order string) error {
	kept := slices.IndexFunc(row.Marks, func(m mark) bool { return m.Order >= order })
	if kept < 0 {
		kept = len(row.Marks)
	}
	for _, m := range row.Marks[kept:] {
		if err := eloCheckpointsTable.Delete(tx, projections.Pair(string(config), m.Order)); err != nil {
			return err
		}
	}
	row.Marks = slices.Clone(row.Marks[:kept])
	return eloMarksTable.Put(tx, string(config), *row)
}

// inserted counts a new fact, and writes the next checkpoint if it is due.
func (k keeper) inserted(tx projections.Tx, config domain.ConfigKey, order string) error {
	row, _, err := eloMarksTable.Get(tx, string(config))
	if err != nil {
		return err
	}
	row.Facts++
	if err := k.dropped(tx, config, &row, order); err != nil {
		return err
	}
	before := 0
	if n := len(row.Marks); n > 0 {
		before = row.Marks[n-1].Facts
	}
	if row.Facts-before < k.every {
		return nil
	}
	options, err := k.settings(tx)
	if err != nil {
		return err
	}
	chain, last, err := playChain(tx, config, options, row.Marks, k.every)
	if err != nil {
		return err
	}
	if err := eloCheckpointsTable.Put(tx, projections.Pair(string(config), last), chain.Checkpoint()); err != nil {
		return err
	}
	row.Marks = append(row.Marks, mark{last, before + k.every})
	if err := k.thin(tx, config, &row); err != nil {
		return err
	}
	return eloMarksTable.Put(tx, string(config), row)
}

// thin keeps the latest checkpoints and ever fewer of the older ones, a number
// logarithmic in their count.
func (k keeper) thin(tx projections.Tx, config domain.ConfigKey, row *marksRow) error {
	latest := row.Marks[len(row.Marks)-1].Facts
	kept := []mark{}
	for i := len(row.Marks) - 1; i >= 0; i-- {
		m := row.Marks[i]
		if n := len(kept); n >= 4 && kept[n-1].Facts-m.Facts < (latest-m.Facts)/4 && i > 0 {
			if err := eloCheckpointsTable.Delete(tx, projections.Pair(string(config), m.Order)); err != nil {
				return err
			}
			continue
		}
		kept = append(kept, m)
	}
	slices.Reverse(kept)
	row.Marks = kept
	return nil
}

// playChain plays facts after the last checkpoint with these settings: at most
// most, or all. It returns the last one played.
func playChain(v projections.View, config domain.ConfigKey, options elo.Options, marks []mark, most int) (*elo.Chain, string, error) {
	chain := elo.NewChain(options)
	span := projections.Span{Prefix: projections.Pair(string(config), "")}
	last := ""
	if n := len(marks); n > 0 {
		point, found, err := eloCheckpointsTable.Get(v, projections.Pair(string(config), marks[n-1].Order))
		if err != nil {
			return nil, "", err
		}
		if found && chain.Resume(point) {
			last = marks[n-1].Order
			span.From = projections.Pair(string(config), last+"\x00")
		}
	}
	workers, err := excludedWorkers(v, config)
	if err != nil {
		return nil, "", err
	}
	played := 0
	for entry, err := range eloOrderTable.Scan(v, span) {
		if err != nil {
			return nil, "", err
		}
		if played == most && most > 0 {
			break
		}
		played++
		last = entry.Row.OrderKey()
		if entry.Row.Worker == "" || !workers[entry.Row.Worker] {
			chain.Play(entry.Row)
		}
	}
	return chain, last, nil
}
