package admin

// examples are payloads of the events, one each.
var examples = map[string]string{
	"CLUSTER_HEALTHY":              `{"healthy_nodes":9,"node_count":10}`,
	"CLUSTER_UNHEALTHY":            `{"healthy_nodes":4,"node_count":10,"reason":"quorum at risk"}`,
	"CRITICAL_LOGGED":              `{"logger":"app.health","message":"server unresponsive after 4 failures","node_id":"gpu-2"}`,
	"DEAD_LETTER_DISCARDED":        `{"id":"decode@17","handler":"decode","position":17,"event_type":"TASK_CLAIMED","error":"no such type","attempts":2,"reason":"not wanted"}`,
	"DEAD_LETTER_RETRIED":          `{"id":"decode@17","handler":"decode","position":17,"event_type":"TASK_CLAIMED","reason":"fixed"}`,
	"EVENT_LOST":                   `{"stream":"task-t1","revision":0}`,
	"EVENT_UNHANDLED":              `{"event_type":"NODE_READY_FOR_WORK","reporter":"router","reason":"unknown event type"}`,
	"HANDLER_FAILED":               `{"handler":"work.retry","event_id":"01234567-89ab-8def-8123-456789abcdef","position":17,"error":"row t1 of table tasks: unexpected end"}`,
	"KIND_PAUSED":                  `{"kind":"tournament","reason":"cluster","until":"2026-01-14T01:00:00Z"}`,
	"KIND_RESUMED":                 `{"kind":"tournament","reason":"cluster"}`,
	"OUTBOX_SETTLED":               `{"up_to":4711,"node":"gpu-1"}`,
	"PROJECTION_REBUILD_REQUESTED": `{"name":"elo","node_id":"gpu-7","reason":"its disk was full"}`,
	"QUORUM_OBSERVED":              `{"alive":2,"voters":5,"quorum":3,"observer":"gpu-2"}`,
	"RECORDING_GAP":                `{"from":"2026-01-14T01:00:00Z","until":"2026-01-14T05:00:00Z","before":"box_monday","after":"box_tuesday"}`,
	"SHUTDOWN_REQUESTED":           `{"reason":"upgrade","grace_seconds":30}`,
	"STANDBY_TOOK_OVER":            `{"node_id":"gpu-2","reason":"the primary did not answer"}`,
}
