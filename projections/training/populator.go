package training

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// PopulatedRow is how far the numbers of a config's made-up items went.
type PopulatedRow struct {
	Made int64 `json:"made"`
}

var populatedTable = projections.Table[PopulatedRow]{Name: "training.populated"}

// populatedPrefix begins the names of items that the populator made up.
const populatedPrefix = "populate-"

// PopulatedTask names the n-th item made up for a config.
func PopulatedTask(config domain.ConfigKey, n int64) domain.TaskID {
	return domain.TaskID(fmt.Sprintf("%s%s-%d", populatedPrefix, config, n))
}

// notePopulated counts items by the numbers in their names.
func notePopulated(tx projections.Tx, _ domain.Envelope, spawned work.Spawned) error {
	rest, ours := strings.CutPrefix(string(spawned.TaskID), populatedPrefix)
	if !ours {
		return nil
	}
	config, digits, _ := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(digits, 10, 48)
	if err != nil || string(PopulatedTask(domain.ConfigKey(config), n)) != string(spawned.TaskID) {
		return nil //nolint:nilerr // somebody else's name
	}
	return populatedTable.Update(tx, config, func(row *PopulatedRow) { row.Made = max(row.Made, n) })
}

// Populated is the training of a config, and the number of the last item that
// was made up for it.
func Populated(v projections.View, config domain.ConfigKey) (Row, int64, error) {
	row, _, err := TrainingTable.Get(v, string(config))
	if err != nil {
		return row, 0, err
	}
	row.ConfigKey = config
	made, _, err := populatedTable.Get(v, string(config))
	return row, made.Made, err
}
