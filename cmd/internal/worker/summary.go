package worker

import (
	"encoding/json"

	"github.com/ringrift/rift/domain"
)

// Summary is the result of a worker's run.
type Summary struct {
	NodeID     domain.NodeID `json:"node_id"`
	Claimed    int           `json:"claimed"`
	Completed  int           `json:"completed"`
	Failed     int           `json:"failed"`
	Released   int           `json:"released"`
	Cancelled  int           `json:"cancelled"`
	Lost       int           `json:"lost"`
	Unreported int           `json:"unreported"`
	Killed     int           `json:"killed"`
	Seconds    float64       `json:"seconds"`
	Busy       float64       `json:"busy_seconds"` // of all slots
}

// Planned is an item in a dry run.
type Planned struct {
	TaskID    domain.TaskID   `json:"task_id"`
	TaskType  string          `json:"task_type"`
	ConfigKey string          `json:"config_key"`
	Payload   json.RawMessage `json:"payload"`
	Command   []string        `json:"command"`
}
