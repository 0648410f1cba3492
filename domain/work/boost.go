package work

import (
	"time"
)

// Boost is a live boost of exploration.
type Boost struct {
	Factor      float64   `json:"factor"`
	Until       time.Time `json:"until"`
	Reason      string    `json:"reason,omitempty"`
	Temperature *float64  `json:"temperature,omitempty"`
	GamesFactor *float64  `json:"games_factor,omitempty"`
}
