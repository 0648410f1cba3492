package relay

// examples are payloads of the events, one each.
var examples = map[string]string{
	"RELAY_CALL_QUEUED":    `{"call_id":"8e5b","hub":"hub-1","round":1,"request":{"target":"gpu-9","method":"POST","path":"/work/add","body":{"task_type":"selfplay"}},"key":"k1","shown":true,"deadline":"2026-01-02T03:05:05Z"}`,
	"RELAY_CALL_DELIVERED": `{"call_id":"8e5b","target":"gpu-9"}`,
	"RELAY_CALL_ANSWERED":  `{"call_id":"8e5b","target":"gpu-9","response":{"status":200,"body":{"position":7,"events":[]}}}`,
	"RELAY_CALL_EXPIRED":   `{"call_id":"8e5b","target":"gpu-9","round":1,"delivered":true}`,
}
