package work

// examples are payloads of the events, one each.
var examples = map[string]string{
	"BACKPRESSURE_ACTIVATED": `{"level":"hard","pending":4,"soft_limit":3,"hard_limit":4}`,
	"BACKPRESSURE_RELEASED":  `{"pending":1}`,
	"COMPLETION_REJECTED":    `{"task_id":"c","verb":"fail","reason":"foreign","lease":1,"live_lease":1,"node_id":"m","state":"leased","error":"not mine"}`,
	"TASK_CANCELLED":         `{"task_id":"a","lease":1,"node_id":"n","reason":"wrong model","batch":true}`,
	"TASK_CLAIMED":           `{"task_id":"p1","lease":1,"node_id":"gpu-1","deadline":"2026-01-02T03:05:05Z","attempt":1,"decision":{"class":"normal","pool":"gpu","slots":1,"weight":500,"virtual_start":0,"turn":0,"rejoined":true,"waited_ms":0,"slots_used":0},"exploration":{"factor":2,"until":"2026-01-02T03:14:05Z","reason":"loss_anomaly"}}`,
	"TASK_COMPLETED":         `{"task_id":"t1","lease":1,"node_id":"gpu-1","result":{"games":50},"measured":{"units":50,"spent_ms":30000,"node_class":"default","window_ms":43200000}}`,
	"TASK_DEAD":              `{"task_id":"b","attempts":1,"reason":"not retryable: no such model"}`,
	"TASK_EXPIRED":           `{"task_id":"t1","age_seconds":5400,"reason":"stale"}`,
	"TASK_FAILED":            `{"task_id":"t1","lease":1,"node_id":"n","error":"boom","retryable":true,"attempts":1}`,
	"TASK_HEARTBEAT":         `{"task_id":"c","lease":1,"node_id":"n","deadline":"2026-01-02T03:05:15Z","stalled_seconds":5}`,
	"TASK_LEASE_EXPIRED":     `{"task_id":"t1","lease":1,"node_id":"gpu-1","reason":"silent","attempts":1,"overdue_seconds":1}`,
	"TASK_PREEMPTED":         `{"task_id":"d","lease":1,"node_id":"n","for":"urgent","until":"2026-01-02T03:05:30Z","reason":"urgent waits"}`,
	"TASK_REFUSED":           `{"task_id":"t2","task_type":"selfplay","pending":1000,"limit":1000,"reason":"hard limit"}`,
	"TASK_RELEASED":          `{"task_id":"low","lease":1,"node_id":"n","reason":"gave way"}`,
	"TASK_REQUEUED":          `{"task_id":"c","reason":"back-off over"}`,
	"TASK_RESERVED":          `{"task_id":"large","node_id":"n1","until":"2026-01-02T05:05:36Z","slots":2,"slots_used":1,"slots_of":2,"waited_ms":91000}`,
	"TASK_RETRY_SCHEDULED":   `{"task_id":"c","not_before":"2026-01-02T03:04:07.98339Z","attempts":1}`,
	"TASK_REVOKED":           `{"task_id":"t","lease":2,"node_id":"m","reason":"node unhealthy: dead"}`,
	"TASK_SPAWNED":           `{"task_id":"s1","task_type":"selfplay","config_key":"hex8_2p","priority":50,"payload":{"games":50},"timeout_seconds":5400,"max_attempts":3,"batch":"c1"}`,
	"TASK_STARTED":           `{"task_id":"t1","lease":1,"node_id":"gpu-1"}`,
	"TASK_UNBLOCKED":         `{"task_id":"b","dependency":"a"}`,
	"TASK_UNPINNED":          `{"task_id":"mine","node_id":"big","reason":"it ran out"}`,
}
