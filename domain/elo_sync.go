package domain

// EloFact is a fact of a game's ratings on its way between two logs: exactly one
// of its fields.
type EloFact struct {
	Match   *EloMatchRecorded   `json:"match,omitempty"`
	Results *EloResultsRecorded `json:"results,omitempty"`
}

// Event is the fact; nil for none, or for more than one.
func (f EloFact) Event() Event {
	switch {
	case f.Match != nil && f.Results == nil:
		return *f.Match
	case f.Results != nil && f.Match == nil:
		return *f.Results
	}
	return nil
}

// ID names the fact in the ratings: it counts once.
func (f EloFact) ID() string {
	switch e := f.Event().(type) {
	case EloMatchRecorded:
		return e.MatchID
	case EloResultsRecorded:
		return e.FactID
	}
	return ""
}

// Digest names the fact by what it says, the same on every node.
func (f EloFact) Digest() string {
	switch e := f.Event().(type) {
	case EloMatchRecorded:
		return e.Identity()
	case EloResultsRecorded:
		return e.Digest()
	}
	return ""
}

// Faults names what is wrong with a fact for the ratings of a game.
func (f EloFact) Faults(config ConfigKey) []Fault {
	switch e := f.Event().(type) {
	case EloMatchRecorded:
		faults := e.Validate()
		if e.ConfigKey != config {
			faults = append(faults, Fault{"match.config_key", "want " + string(config) + ", found " + clip(string(e.ConfigKey), 64)})
		}
		if e.MatchID != e.Identity() {
			faults = append(faults, Fault{"match.match_id", "want " + e.Identity() + " by the content, found " + clip(e.MatchID, 64)})
		}
		return faults
	case EloResultsRecorded:
		faults := e.Validate()
		if e.ConfigKey != config {
			faults = append(faults, Fault{"results.config_key", "want " + string(config) + ", found " + clip(string(e.ConfigKey), 64)})
		}
		return faults
	}
	return []Fault{{"match", "want exactly one of match, results"}}
}

// Names lists the players whose ratings the fact may move.
func (f EloFact) Names() []string {
	var names []string
	switch e := f.Event().(type) {
	case EloMatchRecorded:
		for _, player := range e.Participants {
			names = append(names, player.Name())
		}
	case EloResultsRecorded:
		names = append(names, string(e.ModelID))
		for _, result := range e.Results {
			if result.Games() > 0 {
				names = append(names, result.Opponent)
			}
		}
	}
	return names
}
