package work

import (
	"time"
)

// Boost is a boost of exploration that is in effect.
type Boost struct {
	Factor      float64   `json:"factor"`
	Until       time.Time `json:"until"`
	Reason      string    `json:"reason,omitempty"`
	Temperature *float64  `json:"temperature,omitempty"`
	GamesFactor *float64  `json:"games_factor,omitempty"`
}
