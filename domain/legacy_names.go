package domain

import (
	"strings"
)

// RetiredName is an event name of the original cluster that rift does not have,
// with the reason, and what to send or read instead.
type RetiredName struct {
	Name      string `json:"name"`
	Reason    string `json:"reason"`
	Successor string `json:"successor,omitempty"` // an event type, or an endpoint; empty: there is none
}

// retirement is the reason for which a group of names is retired.
type retirement struct {
	reason    string
	successor string
	names     string // separated by spaces
}

// retirements lists, by reason, every event name of the original that is neither a
// type of the catalogue nor another name of one.
var retirements = []retirement{
	// The queue. The names of the steps of an item are accepted as other names of
	// TASK_ types.
	{"an item that nobody holds any more loses its lease by the clock", "TASK_LEASE_EXPIRED", "TASK_ORPHANED TASK_ABANDONED"},
	{"a claim is the start, and its lease is what confirms it", "TASK_CLAIMED", "JOB_SPAWN_VERIFIED BATCH_DISPATCHED"},
	{"a start that fails is a failed attempt", "TASK_FAILED", "JOB_SPAWN_FAILED"},
	{"an item displaced by another is given back", "TASK_RELEASED", "JOB_PREEMPTED"},
	{"a batch is its items", "TASK_SPAWNED", "BATCH_SCHEDULED IDLE_NODE_WORK_INJECTED QUALITY_SELFPLAY_DISPATCHED"},
	{"one type for every kind of item; task_type says which", "TASK_COMPLETED", "CPU_PIPELINE_JOB_COMPLETED"},
	{"a queue that hands nothing out is a silence, raised by the clock", "SILENCE_ALARM_RAISED", "WORK_QUEUE_STALLED WORK_QUEUE_EXHAUSTED"},
	{"the alarm of a silence is cleared by the next success", "SILENCE_ALARM_CLEARED", "WORK_QUEUE_RECOVERED"},
	{"there is one level of pressure, of the one queue", "BACKPRESSURE_ACTIVATED", "WORK_QUEUE_BACKPRESSURE EVALUATION_BACKPRESSURE SQLITE_BACKPRESSURE SQLITE_CONNECTION_WARNING"},
	{"there is one level of pressure, of the one queue", "BACKPRESSURE_RELEASED", "WORK_QUEUE_BACKPRESSURE_RELEASED EVALUATION_BACKPRESSURE_RELEASED"},
	{"there is one queue, and no local one to fall back to", "", "AUTONOMOUS_QUEUE_ACTIVATED AUTONOMOUS_QUEUE_DEACTIVATED"},

	// Data.
	{"new games are what a completed copy says it brought", "DATA_SYNC_COMPLETED", "NEW_GAMES_AVAILABLE NEW_GAMES GAME_SYNCED QUEUED_EVENTS_SYNCED EMERGENCY_SYNC_COMPLETED DATA_BACKUP_COMPLETED S3_BACKUP_COMPLETED REPAIR_COMPLETED CONSOLIDATION_COMPLETE ORPHAN_GAMES_REGISTERED"},
	{"a copy is told by its start, not by what asked for it", "DATA_SYNC_STARTED", "SYNC_TRIGGERED SYNC_REQUEST CONSOLIDATION_STARTED"},
	{"what went wrong with a copy is its error", "DATA_SYNC_FAILED", "SYNC_CHECKSUM_FAILED SYNC_NODE_UNREACHABLE SYNC_FAILURE_CRITICAL REPAIR_FAILED REPLICATION_ALERT TRANSPORT_CORRUPTION_DETECTED"},
	{"a training file is a copy of type npz", "DATA_SYNC_STARTED", "NPZ_EXPORT_STARTED NPZ_COMBINATION_STARTED"},
	{"a training file is a copy of type npz", "DATA_SYNC_COMPLETED", "NPZ_EXPORT_COMPLETE NPZ_COMBINATION_COMPLETE TOURNAMENT_DATA_READY TOURNAMENT_PIPELINE_COMPLETED TRAINING_DATA_RECOVERED"},
	{"a training file that cannot be made is a failed copy of type npz", "DATA_SYNC_FAILED", "EXPORT_VALIDATION_FAILED NPZ_COMBINATION_FAILED TRAINING_DATA_RECOVERY_FAILED"},
	{"the age of data is a query over the copies that arrived", "GET /syncs/freshness", "DATA_STALE DATA_FRESH DATA_STARVATION_CRITICAL"},
	{"games that no registry knows cannot be: a file counts when its copy is reported", "", "ORPHAN_GAMES_DETECTED ORPHAN_GAME_PREVENTED GAME_SAVE_FAILED DATABASE_CREATED"},

	// Training.
	{"a training is a task of the queue; the loop asks for it when enough games arrived", "TASK_SPAWNED", "TRAINING_THRESHOLD_REACHED TRAINING_THRESHOLD TOURNAMENT_TRAINING_TRIGGERED CASCADE_TRANSFER_TRIGGERED REANALYSIS_STARTED"},
	{"a sign of life goes with the lease", "POST /work/heartbeat", "TRAINING_HEARTBEAT TRAINING_PROGRESS EPOCH_COMPLETED CHECKPOINT_SAVED CHECKPOINT_LOADED TRAINING_LOSS_TREND TRAINING_IMPROVED"},
	{"one training per config is an invariant of its stream, not a lock with a time-out", "TRAINING_STARTED", "TRAINING_LOCK_ACQUIRED TRAINING_LOCK_TIMEOUT TRAINING_SLOT_UNAVAILABLE"},
	{"a training over its time loses its lease", "TASK_LEASE_EXPIRED", "TRAINING_TIMEOUT_REACHED TRAINING_PROCESS_KILLED TRAINING_STALL_DETECTED"},
	{"why a training ended is in its end", "TRAINING_COMPLETED", "TRAINING_EARLY_STOPPED REANALYSIS_COMPLETED"},
	{"what went wrong with a training is its error", "TRAINING_FAILED", "CASCADE_TRANSFER_FAILED REANALYSIS_FAILED TRAINING_ROLLBACK_NEEDED TRAINING_ROLLBACK_COMPLETED"},
	{"a loss that jumps is reported as exploration to try", "EXPLORATION_BOOST", "TRAINING_LOSS_ANOMALY LOSS_ANOMALY_DETECTED"},
	{"a pause names the kind of work and its reason", "POST /admin/pause", "TRAINING_PAUSED"},
	{"a pause is lifted for the reason it was made for", "POST /admin/resume", "TRAINING_RESUMED"},

	// Evaluation, rating, promotion.
	{"an evaluation is work of the queue", "POST /gauntlet/execute", "EVALUATION_REQUESTED UNEVALUATED_MODELS_FOUND UNEVALUATED_MODELS_DETECTED COMPREHENSIVE_EVALUATION_STARTED OWC_MODEL_BACKLOG_QUEUED OWC_MODEL_EVALUATION_STARTED OWC_MODELS_DISCOVERED OWC_MODEL_DISCOVERED BACKLOG_DISCOVERY_COMPLETED MODEL_IMPORTED"},
	{"how far an evaluation is goes with its items' leases", "POST /work/heartbeat", "EVALUATION_STARTED EVALUATION_PROGRESS"},
	{"one type for every measurement of a model", "EVALUATION_COMPLETED", "EVALUATION_SUBMITTED HARNESS_EVALUATION_COMPLETED MODEL_HARNESS_EVALUATED MULTI_HARNESS_EVALUATION_COMPLETED HEAD_TO_HEAD_COMPLETED COMPREHENSIVE_EVALUATION_COMPLETED OWC_MODEL_EVALUATION_COMPLETED"},
	{"an evaluation that fails is a failed item", "TASK_FAILED", "OWC_MODEL_EVALUATION_FAILED MODEL_EVALUATION_BLOCKED MODEL_NOT_FOUND MODEL_CORRUPTED"},
	{"an item over its time loses its lease and is tried again", "TASK_LEASE_EXPIRED", "EVALUATION_STUCK EVALUATION_RECOVERED"},
	{"a change of rating is one type, with both values", "ELO_UPDATED", "ELO_SIGNIFICANT_CHANGE"},
	{"a match is stored or refused with its faults named", "POST /elo/matches", "ELO_RECORDING_FAILED ELO_VALIDATION_FAILED"},
	{"one type for every tournament", "TOURNAMENT_COMPLETED", "CROSS_CONFIG_TOURNAMENT_COMPLETED TOPN_ROUNDROBIN_COMPLETED"},
	{"a candidate is judged at once, every gate of it, in one event", "MODEL_PROMOTED", "PROMOTION_CANDIDATE PROMOTION_STARTED PROMOTION_COMPLETED PROMOTION_CONSENSUS_APPROVED CROSSBOARD_PROMOTION MODEL_UPDATED TIER_PROMOTION"},
	{"one promotion replaces another; the model in use is the last one promoted", "MODEL_PROMOTED", "PROMOTION_ROLLED_BACK MODEL_ROLLBACK_STARTED MODEL_ROLLBACK_COMPLETED MODEL_ROLLBACK_FAILED"},
	{"how strength moves is a query over ratings", "GET /elo/history", "REGRESSION_DETECTED REGRESSION_MINOR REGRESSION_MODERATE REGRESSION_SEVERE REGRESSION_CRITICAL REGRESSION_CLEARED OPPONENT_MASTERED"},
	{"a model travels as a copy of type models", "DATA_SYNC_STARTED", "MODEL_SYNC_REQUESTED MODEL_DISTRIBUTION_STARTED"},
	{"a model travels as a copy of type models", "DATA_SYNC_COMPLETED", "P2P_MODEL_SYNCED MODEL_DISTRIBUTION_COMPLETE CLUSTER_MODEL_INVENTORY_UPDATED"},
	{"a model travels as a copy of type models", "DATA_SYNC_FAILED", "MODEL_DISTRIBUTION_FAILED DISTRIBUTION_INCOMPLETE"},

	// Selfplay, curriculum, search for parameters.
	{"one owner holds the factors of a config, each with its cause and expiry", "SELFPLAY_ADJUSTED", "CURRICULUM_REBALANCED CURRICULUM_ADVANCED CURRICULUM_ADVANCEMENT_NEEDED CURRICULUM_PROPAGATE CURRICULUM_ROLLBACK CURRICULUM_ROLLBACK_COMPLETED CURRICULUM_RESET_REQUESTED CURRICULUM_UPDATED WEIGHT_UPDATED SELFPLAY_TARGET_UPDATED SELFPLAY_RATE_CHANGED SELFPLAY_ALLOCATION_UPDATED QUALITY_FEEDBACK_ADJUSTED QUALITY_PENALTY_APPLIED SCHEDULER_REGISTERED P2P_SELFPLAY_SCALED"},
	{"exploration is raised with a factor and an expiry", "EXPLORATION_BOOST", "EXPLORATION_ADJUSTED"},
	{"a search for parameters is a run", "POST /cmaes/start", "CMAES_TRIGGERED NAS_TRIGGERED NAS_STARTED PBT_STARTED"},
	{"a search for parameters is a run", "GET /cmaes/status", "CMAES_COMPLETED NAS_GENERATION_COMPLETE NAS_COMPLETED NAS_BEST_ARCHITECTURE PBT_GENERATION_COMPLETE PBT_COMPLETED"},
	{"what a training is given is the payload of its item", "TASK_SPAWNED", "HYPERPARAMETER_UPDATED ADAPTIVE_PARAMS_CHANGED ARCHITECTURE_WEIGHTS_UPDATED PER_BUFFER_REBUILT PER_PRIORITIES_UPDATED"},
	{"no progress is a plateau", "PLATEAU_DETECTED", "PROGRESS_STALL_DETECTED"},
	{"a plateau ends with an evaluation that is better", "EVALUATION_COMPLETED", "PROGRESS_RECOVERED"},

	// Quality and parity.
	{"quality is judged per config, and only edges are told", "QUALITY_DEGRADED", "DATA_QUALITY_ALERT DATA_QUALITY_ASSESSED QUALITY_SCORE_UPDATED QUALITY_DISTRIBUTION_CHANGED LOW_QUALITY_DATA_WARNING QUALITY_CHECK_FAILED TRAINING_BLOCKED_BY_QUALITY PARITY_FAILURE_RATE_CHANGED"},
	{"a check is work of the queue", "TASK_SPAWNED", "QUALITY_CHECK_REQUESTED PARITY_VALIDATION_STARTED"},
	{"a check is work of the queue", "TASK_COMPLETED", "PARITY_VALIDATION_COMPLETED"},

	// The cluster and its members.
	{"the level is a query, and its edges are told by two types", "CLUSTER_HEALTHY", "CLUSTER_HEALTH_CHANGED CLUSTER_STATUS_CHANGED P2P_HEALTH_RECOVERED"},
	{"the level is a query, and its edges are told by two types", "CLUSTER_UNHEALTHY", "CLUSTER_VISIBILITY_DEGRADED P2P_RECOVERY_NEEDED NETWORK_ISOLATION_DETECTED FAST_FAILURE_ALERT FAST_FAILURE_RECOVERY RESILIENCE_ESCALATION"},
	{"a failure that is over is a cluster that is healthy", "CLUSTER_HEALTHY", "FAST_FAILURE_RECOVERED"},
	{"a node that plays no games is seen by the silence of its items", "SILENCE_ALARM_RAISED", "CLUSTER_STALL_DETECTED"},
	{"a node is gone when it was not heard from", "HOST_OFFLINE", "P2P_NODE_DEAD P2P_NODES_DEAD NODE_RETIRED NODE_TERMINATED"},
	{"a node is there when it is heard from", "HOST_ONLINE", "NODE_ACTIVATED NODE_PROVISIONED"},
	{"a process that is started anew is a daemon that changes its status", "DAEMON_STATUS_CHANGED", "P2P_RESTART_TRIGGERED P2P_RESTARTED CLUSTER_P2P_RECOVERY_COMPLETED REMOTE_P2P_RECOVERY_SUCCESS REMOTE_P2P_RECOVERY_FAILED P2P_LOOP_STARTUP_FAILED P2P_LOOP_PERFORMANCE_DEGRADED P2P_LOOP_TIMEOUT RECOVERY_INITIATED RECOVERY_COMPLETED RECOVERY_FAILED"},
	{"processes of no item are told by the node that has them", "NODE_ZOMBIE_DETECTED", "P2P_ZOMBIE_DETECTED"},
	{"membership heals by itself; there is no pass to start or end", "GET /swim/members", "PARTITION_HEALING_STARTED PARTITION_HEALED PARTITION_HEALING_FAILED HEALING_CONVERGENCE_FAILED GOSSIP_STATE_CLEANUP_COMPLETED PEER_DISCOVERY_EMERGENCY PRIVATE_IP_ADVERTISED NODE_SUSPECT"},
	{"the runtime schedules; nothing blocks a loop", "", "EVENT_LOOP_BLOCKED"},
	{"configuration is the policy document, versioned", "POLICY_CHANGED", "CONFIG_UPDATED CONFIG_DIVERGENCE_DETECTED"},
	{"state is the log; it is persisted when it is acknowledged", "", "STATE_PERSISTED REGISTRY_UPDATED METRICS_UPDATED CACHE_INVALIDATED"},

	// Leadership.
	{"terms move by elections only", "LEADER_CHANGED", "EPOCH_ADVANCED LEADER_ELECTED LEADER_LOST LEADER_STEPDOWN LEADER_STEP_DOWN_RECEIVED LEADER_ADOPTED LEADER_LEASE_EXPIRED LEADER_HEARTBEAT_MISSING BACKUP_CANDIDATES_PROBED COORDINATOR_FAILOVER COORDINATOR_HANDOFF"},
	{"the voters are configured; whether one answers is all that changes", "VOTER_OFFLINE", "VOTER_FLAPPING VOTER_DEMOTED QUORUM_LOST QUORUM_AT_RISK QUORUM_VALIDATION_FAILED"},
	{"the voters are configured; whether one answers is all that changes", "VOTER_ONLINE", "VOTER_PROMOTED VOTER_HEALING_REQUESTED QUORUM_RESTORED QUORUM_RECOVERY_STARTED QUORUM_PRIORITY_RECONNECT"},
	{"an observer says whom it saw lead", "LEADERS_OBSERVED", "SPLIT_BRAIN_DETECTED"},
	{"an observer says that at most one leads", "SPLIT_BRAIN_HEALED", "SPLIT_BRAIN_RESOLVED"},
	{"the coordinator is a node like any other", "GET /admin/health", "COORDINATOR_HEARTBEAT COORDINATOR_HEALTHY COORDINATOR_UNHEALTHY COORDINATOR_HEALTH_DEGRADED COORDINATOR_INIT_FAILED"},
	{"a node is asked to stop", "POST /admin/shutdown", "COORDINATOR_SHUTDOWN COORDINATOR_EMERGENCY_SHUTDOWN"},

	// Nodes and their resources. The level is not an event; changes of a node's
	// health are.
	{"a level goes with the node's heartbeat; only an edge is an event", "POST /nodes/heartbeat", "NODE_CAPACITY_UPDATED CLUSTER_CAPACITY_CHANGED IDLE_RESOURCE_DETECTED IDLE_STATE_BROADCAST IDLE_STATE_REQUEST CLUSTER_UNDERUTILIZED CLUSTER_UTILIZATION_RECOVERED UTILIZATION_RECOVERY_STARTED UTILIZATION_RECOVERY_COMPLETED UTILIZATION_RECOVERY_FAILED MEMORY_PRESSURE_CAUTION HEALTH_CHECK_PASSED DISK_CLEANUP_TRIGGERED CAPACITY_LOW CAPACITY_RESTORED"},
	{"a node in trouble says so, with the reason", "NODE_UNHEALTHY", "NODE_OVERLOADED SSH_LIVENESS_CHECK_FAILED SSH_NODE_UNRESPONSIVE HEALTH_CHECK_FAILED HEALTH_ALERT RESOURCE_CONSTRAINT RESOURCE_CONSTRAINT_DETECTED MEMORY_PRESSURE MEMORY_PRESSURE_WARNING MEMORY_PRESSURE_CRITICAL MEMORY_PRESSURE_EMERGENCY SOCKET_LEAK_DETECTED TAILSCALE_CLI_ERROR DISK_SPACE_LOW DISK_FULL"},
	{"a node that is well again says so", "NODE_RECOVERED", "SSH_LIVENESS_CHECK_SUCCEEDED SSH_NODE_RECOVERED MEMORY_PRESSURE_RECOVERED SOCKET_LEAK_RECOVERED TAILSCALE_CLI_RECOVERED"},
	{"what a node can is what it registered; an item it cannot run is not offered to it", "POST /nodes/register", "NODE_INCOMPATIBLE_WITH_WORKLOAD GPU_CAPABILITY_MISMATCH PYTORCH_CUDA_MISMATCH"},
	{"how one process reaches another is its own business", "", "P2P_CONNECTION_RESET_REQUESTED SSH_LIVENESS_CHECK_STARTED"},
	{"renting machines and their cost are outside the cluster", "", "NODE_PROVISION_FAILED BUDGET_ALERT BUDGET_EXCEEDED"},

	// Breakers, handlers, daemons.
	{"a breaker is per node, opens by failures and closes by time", "GET /work/explain", "CIRCUIT_BREAKER_OPENED CIRCUIT_BREAKER_HALF_OPEN CIRCUIT_BREAKER_CLOSED CIRCUIT_BREAKER_THRESHOLD ESCALATION_TIER_CHANGED CIRCUIT_RESET"},
	{"a handler that fails parks the event, whatever the reason", "HANDLER_FAILED", "HANDLER_TIMEOUT LOCK_TIMEOUT DEADLOCK_DETECTED"},
	{"dead letters are listed, retried and discarded one by one", "GET /dead-letters", "DLQ_STALE_EVENTS DLQ_EVENTS_REPLAYED DLQ_EVENTS_PURGED"},
	{"one type tells every status of a daemon", "DAEMON_STATUS_CHANGED", "DAEMON_STARTED DAEMON_STOPPED DAEMON_PERMANENTLY_FAILED DAEMON_FAILURE_CLASSIFIED DAEMON_FAILURE_ESCALATED DAEMON.DEGRADED_MODE DAEMON.CASCADE_BREAKER_TRIPPED"},
	{"a daemon that ran for long is forgiven by the clock", "DAEMON_STABLE", "DAEMON_FAILURE_RECOVERED"},
	{"an error is told by what failed: a task, a training, a copy, a daemon, a handler", "", "ERROR"},
}

// RetiredNames lists the retired names, by reason.
func RetiredNames() []RetiredName {
	var names []RetiredName
	for _, group := range retirements {
		for name := range strings.FieldsSeq(group.names) {
			names = append(names, RetiredName{name, group.reason, group.successor})
		}
	}
	return names
}

// Retired returns a retired name, in any letter case.
func Retired(name string) (RetiredName, bool) {
	for _, retired := range RetiredNames() {
		if strings.EqualFold(retired.Name, name) {
			return retired, true
		}
	}
	return RetiredName{}, false
}

// unknownType returns the error for an unknown type name, with what to use instead.
func unknownType(name string) error {
	retired, is := Retired(name)
	if !is {
		return Errorf(Invalid, "event type %q is not in the catalogue", Clip(name, 128))
	}
	reason := "retired: " + retired.Reason
	if retired.Successor != "" {
		reason += "; instead: " + retired.Successor
	}
	return Faulty(retired.Name, []Fault{{"type", reason}})
}
