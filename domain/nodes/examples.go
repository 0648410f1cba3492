package nodes

// examples are payloads of the events, one each.
var examples = map[string]string{
	"DAEMON_CRASH_LOOP_DETECTED": `{"daemon_name":"auto_sync","node_id":"gpu-1","restart_count":3,"window_seconds":300,"last_error":"database is locked"}`,
	"DAEMON_STABLE":              `{"daemon_name":"auto_sync","node_id":"gpu-1","running_seconds":7200,"restarts":4,"crash_loop":true}`,
	"DAEMON_STATUS_CHANGED":      `{"daemon_name":"auto_sync","node_id":"gpu-1","new_status":"crashed","old_status":"running","reason":"exception","error":"database is locked"}`,
	"HOST_OFFLINE":               `{"node_id":"gpu-1","reason":"heartbeat","silent_seconds":305}`,
	"HOST_ONLINE":                `{"node_id":"a"}`,
	"IDLE_RESOURCE_CLEARED":      `{"node_id":"gpu-1","idle_duration_seconds":900,"reason":"it holds work"}`,
	"IDLE_RESOURCE_DETECTED":     `{"node_id":"gpu-1","since":"2026-01-14T01:00:00Z","idle_duration_seconds":300,"gpu_utilization":2.5,"task_type":"selfplay"}`,
	"NODE_AUTOSTARTED":           `{"node_id":"box-2","count":4}`,
	"NODE_AUTOSTART_FAILED":      `{"node_id":"box-2","failed":4,"requested":4}`,
	"NODE_BREAKER_CLOSED":        `{"node_id":"gpu-1","reason":"success"}`,
	"NODE_BREAKER_OPENED":        `{"node_id":"n","failures":3,"until":"2026-01-02T03:05:05Z","opens":1}`,
	"NODE_RECOVERED":             `{"node_id":"b"}`,
	"NODE_REGISTERED":            `{"node_id":"big","capabilities":["cuda"],"facts":{"gpu":{"name":"L40S","memory_gb":48},"slots":4},"accepts":"task_type != \"export\""}`,
	"NODE_RETIRED":               `{"node_id":"gpu-1","reason":"offline"}`,
	"NODE_UNHEALTHY":             `{"node_id":"gpu-1","reason":"disk","consecutive_failures":3,"disk_used_percent":98}`,
	"NODE_ZOMBIE_DETECTED":       `{"node_id":"gpu-1","zombie_seconds":600,"jobs":1,"tasks":["t1"]}`,
	"SILENCE_ALARM_CLEARED":      `{"kind":"dispatch","silent_seconds":1831,"position":8}`,
	"SILENCE_ALARM_RAISED":       `{"kind":"sync","since":"2026-01-03T04:35:05Z","silent_seconds":608400,"limit_seconds":21600,"last_position":15}`,
}
