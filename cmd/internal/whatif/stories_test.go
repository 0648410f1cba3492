package whatif

// aRetry is an item that fails twice and is dead.
const aRetry = `
command work.add id=c1 actor=ann
{"task_id":"t1","task_type":"demo","max_attempts":2}
----

command work.claim id=c2 actor=gpu-1
{"node_id":"gpu-1"}
----

command work.fail id=c3 actor=gpu-1
{"task_id":"t1","lease":1,"error":"out of memory"}
----

drain
----

tick 10m
----

command work.claim id=c4 actor=gpu-1
{"node_id":"gpu-1"}
----

command work.fail id=c5 actor=gpu-1
{"task_id":"t1","lease":2,"error":"out of memory"}
----

drain
----
`

// twoTypes is two items of which a node gets one, an unhealthy node, and what the clock
// does with its item.
const twoTypes = `
command policies.set id=k0
{"name":"default","policy":{"work":{"lease_seconds":3600}},"reason":"slow disks"}
----

command work.add id=k1 actor=ann
{"task_id":"a","task_type":"tournament"}
----

command work.add id=k2 actor=ann
{"task_id":"b","task_type":"gauntlet"}
----

command nodes.register id=k3 actor=gpu-1
{"node_id":"gpu-1"}
----

command work.claim id=k4 actor=gpu-1
{"node_id":"gpu-1"}
----

http POST /events
{"type":"NODE_UNHEALTHY","payload":{"node_id":"gpu-1","reason":"timeout"}}
----

drain
----

tick 40s
----

command work.heartbeat id=k5 actor=gpu-1
{"task_id":"b","lease":1,"node_id":"gpu-1"}
----

command work.add id=k6 actor=ann
{"task_id":"c","task_type":"demo"}
----

tick 10m
----
`

// pressed is a queue that gets long in two steps, and what the clock announces.
const pressed = `
command policies.set id=q0
{"name":"default","policy":{"work":{"soft_limit":4,"recovery_limit":1}},"reason":"a short story"}
----

command work.add_batch id=q1 actor=ann
{"items":[{"task_type":"demo"},{"task_type":"demo"},{"task_type":"demo"}]}
----

tick 10s
----

command work.add id=q2 actor=ann
{"task_type":"demo"}
----

command work.add id=q3 actor=ann
{"task_type":"demo"}
----

tick 10s
----
`

// upAndDown is a queue whose pressure rises, ends and rises again before it is announced.
const upAndDown = `
command policies.set id=u0
{"name":"default","policy":{"work":{"soft_limit":4,"recovery_limit":2}},"reason":"a short story"}
----

command work.add_batch id=u1 actor=ann
{"items":[{"task_type":"demo"},{"task_type":"demo"},{"task_type":"demo"},{"task_type":"demo"}]}
----

command work.cancel_batch id=u2 actor=ann
{"task_type":"demo","limit":3}
----

command work.add_batch id=u3 actor=ann
{"items":[{"task_type":"demo"},{"task_type":"demo"},{"task_type":"demo"},{"task_type":"demo"}]}
----

tick 10s
----
`
