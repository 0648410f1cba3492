package training

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// PopulatedRow is the highest number of a config's populated items.
type PopulatedRow struct {
	Made int64 `json:"made"`
}

var populatedTable = projections.Table[PopulatedRow]{Name: "training.populated"}

// populatedPrefix is the id prefix of the populator's items.
const populatedPrefix = "populate-"

// PopulatedTask returns the id of the n-th populated item of a config.
func PopulatedTask(config domain.ConfigKey, n int64) domain.TaskID {
	return domain.TaskID(fmt.Sprintf("%s%s-%d", populatedPrefix, config, n))
}

// notePopulated tracks the numbers in the ids of populated items.
func notePopulated(tx projections.Tx, _ domain.Envelope, spawned work.Spawned) error {
	rest, ours := strings.CutPrefix(string(spawned.TaskID), populatedPrefix)
	if !ours {
		return nil
	}
	config, digits, _ := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(digits, 10, 48)
	if err != nil || string(PopulatedTask(domain.ConfigKey(config), n)) != string(spawned.TaskID) {
		return nil //nolint:nilerr // an id from elsewhere
	}
	return populatedTable.Update(tx, config, func(row *PopulatedRow) { row.Made = max(row.Made, n) })
}

// Populated returns the training of a config, and the number of its last populated
// item.
func Populated(v projections.View, config domain.ConfigKey) (Row, int64, error) {
	row, _, err := TrainingTable.Get(v, string(config))
	if err != nil {
		return row, 0, err
	}
	row.ConfigKey = config
	made, _, err := populatedTable.Get(v, string(config))
	return row, made.Made, err
}
