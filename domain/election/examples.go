package election

// examples are payloads of the events, one each.
var examples = map[string]string{
	"LEADERS_OBSERVED":   `{"leaders":["a","b"],"observer":"c","term":7}`,
	"LEADER_CHANGED":     `{"leader":"box-1","term":40}`,
	"SPLIT_BRAIN_HEALED": `{"observer":"box-1"}`,
	"TERM_ADOPTED":       `{"term":41,"previous":40,"by":"box-1"}`,
	"VOTER_OFFLINE":      `{"voter":"box-2","alive":2,"voters":3,"quorum":2}`,
	"VOTER_ONLINE":       `{"voter":"box-2","alive":3,"voters":3,"quorum":2}`,
}
