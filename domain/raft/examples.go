package raft

// examples are payloads of the events, one each.
var examples = map[string]string{
	"NODE_JOINED":   `{"node_id":"n4","address":"http://10.0.0.4:8770","configuration":812}`,
	"NODE_LEFT":     `{"node_id":"n2","configuration":941}`,
	"VOTER_ADDED":   `{"node_id":"n4","voters":4,"configuration":840}`,
	"VOTER_REMOVED": `{"node_id":"n2","voters":3,"configuration":941}`,
}
