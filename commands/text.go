package commands

import (
	"errors"
	"slices"

	"github.com/ringrift/rift/domain"
)

// ConfigFaults names what is wrong with the key of a game.
func ConfigFaults(config domain.ConfigKey) []domain.Fault {
	if _, err := domain.ParseConfigKey(string(config)); err != nil {
		return []domain.Fault{{Field: "config_key", Reason: err.Error()}}
	}
	return nil
}

// Or returns text, or otherwise if text is empty.
func Or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// NameFaults names what is wrong with a name that is part of stream ids and keys.
func NameFaults(field, name string) []domain.Fault {
	if err := domain.CheckName(name); err != nil {
		var coded *domain.Error
		if errors.As(err, &coded) {
			return []domain.Fault{{Field: field, Reason: coded.Msg}}
		}
	}
	return nil
}

// Unique removes repetitions and keeps the order.
func Unique[T comparable](list []T) []T {
	var kept []T
	for _, v := range list {
		if !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}
