package domain

// Made from the comments of the policy's fields:
// go test ./domain -run TestPolicySettingsAreDescribed -rewrite

func aboutSetting(key string) string {
	switch key {
	case "work":
		return "the numbers of the queue"
	case "work.lease_seconds":
		return "a lease without a heartbeat ends after this"
	case "work.timeout_seconds":
		return "default bound on one attempt from claim to end, heartbeats or not"
	case "work.max_attempts":
		return "default number of attempts before an item is dead"
	case "work.backoff_base_seconds":
		return "wait before the first retry; doubles with each"
	case "work.backoff_cap_seconds":
		return "longest wait before a retry"
	case "work.default_priority":
		return "0 to 100, larger first"
	case "work.claim_limit":
		return "most items one claim may take"
	case "work.soft_limit":
		return "pending items from which back-pressure is \"soft\""
	case "work.hard_limit":
		return "pending items from which an add is refused"
	case "work.recovery_limit":
		return "pending items below which back-pressure ends"
	case "work.max_payload_bytes":
		return "longest payload an item may carry"
	case "work.max_dependencies":
		return "most items that one may depend on"
	case "work.preempt_after_seconds":
		return "an item that waits for longer may take the place of a lesser one"
	case "work.preempt_grace_seconds":
		return "how long a holder has to give its item back before it is taken"
	case "work.reserve_after_seconds":
		return "how long an item starves before a node keeps its room for it"
	case "work.reserve_seconds":
		return "how long a node keeps its room at most; longer than anything it holds should last"
	case "work.reservations":
		return "how many nodes keep room at once; 0: none does"
	case "work.batch_limit":
		return "most items that one command adds, reports on or cancels"
	case "work.dependants_of_failed":
		return "what becomes of items that wait for one which is dead or cancelled: \"fail\" cancels them too, \"wait\" lets them wait for one that replaces it"
	case "work.pin_seconds":
		return "how long a pin or an exclusion lasts that does not say"
	case "work.avoid_seconds":
		return "how long an item avoids a node that it failed on; 0: it does not"
	case "work.targets":
		return "by task type: how many items are to be on their way"
	case "work.targets.*.least":
		return "below this many a config is filled up to its target"
	case "work.targets.*.configs":
		return "the target of each config"
	case "work.sizing":
		return "by task type: how large items are to be, by what was measured"
	case "work.sizing.*.target_seconds":
		return "how long an item is to take on the node that claims it"
	case "work.sizing.*.batch":
		return "a size is a multiple of it: pairs of games, say"
	case "work.sizing.*.least":
		return "smallest size"
	case "work.sizing.*.most":
		return "largest size; 0: none"
	case "work.sizing.*.unmeasured":
		return "size before anything was measured; 0: what the item itself says"
	case "work.sizing.*.window_seconds":
		return "time spent on items over which measurements count in full; older ones count less"
	case "work.scheduling":
		return "who gets what next"
	case "work.scheduling.classes":
		return "the most important first"
	case "work.scheduling.types":
		return "what each task type needs and may take, by its name"
	case "work.scheduling.types.*.type":
		return "left out by documents that keep types by name"
	case "work.scheduling.types.*.pool":
		return "configs are kept fair within a pool of machines, not across pools"
	case "work.scheduling.types.*.slots":
		return "of a node that an item takes"
	case "work.scheduling.types.*.gpu_memory_gb":
		return "free memory wanted; 0: nobody said"
	case "work.scheduling.types.*.halts_on_disk":
		return "not started on a full disk"
	case "work.scheduling.types.*.halts_on_busy_gpu":
		return "not started on a busy GPU"
	case "work.scheduling.types.*.one_per_node":
		return "at most one live item of its config on a node"
	case "work.scheduling.types.*.pending_cap":
		return "most that may wait; absent: no cap, 0: the type is off"
	case "work.scheduling.types.*.running_cap":
		return "most that may be leased in the cluster"
	case "work.scheduling.other_class":
		return "of task types that are not among them"
	case "work.scheduling.weights":
		return "of configs, relative to each other"
	case "work.scheduling.default_weight":
		return "of configs that are not among the weights"
	case "work.scheduling.reserved_every":
		return "every so-many-th lease of a node goes to the longest starving item"
	case "work.scheduling.default_slots":
		return "of a registered node that does not say"
	case "work.scheduling.preempt_margin":
		return "a waiting item preempts when its priority is larger by more than this"
	case "work.scheduling.disk_halt_percent":
		return "disk used from which nothing that fills it is started"
	case "work.scheduling.gpu_busy_percent":
		return "GPU load from which nothing that adds to it is started"
	case "work.scheduling.node_policies":
		return "the first that matches a node's name is its policy"
	case "work.scheduling.cpu_only_prefixes":
		return "nodes that never count as having a CUDA GPU"
	case "work.scheduling.gpu_memory_gigabytes":
		return "memory of GPUs by name; the first that matches counts"
	case "nodes":
		return "the numbers of node health"
	case "nodes.silent_seconds":
		return "no heartbeat for this long: unhealthy"
	case "nodes.offline_seconds":
		return "no heartbeat for this long: offline"
	case "nodes.dead_reason":
		return "the reason for which leases are revoked without grace"
	case "nodes.reassign_grace_seconds":
		return "an unhealthy node keeps its leases this long"
	case "nodes.recovery_hold_seconds":
		return "a recovered node is not given work for this long"
	case "nodes.breaker_failures":
		return "failed items in the window that open a node's breaker"
	case "nodes.breaker_window_seconds":
		return "how long a failed item counts against its node"
	case "nodes.breaker_open_seconds":
		return "an open breaker keeps work off this long; then one item is let through"
	case "nodes.disk_unhealthy_percent":
		return "disk used from which a node is unhealthy"
	case "nodes.memory_unhealthy_percent":
		return "memory used from which a node is unhealthy"
	case "nodes.heartbeat_seconds":
		return "how often nodes are asked to report"
	case "nodes.max_facts_bytes":
		return "longest facts a node may announce"
	case "nodes.disk_recovered_percent":
		return "disk used below which a node that ran full is well again"
	case "nodes.memory_recovered_percent":
		return "memory used below which a node that ran out is well again"
	case "nodes.gpu_memory_unhealthy_percent":
		return "GPU memory used from which a node is unhealthy; 0: not judged"
	case "nodes.gpu_memory_recovered_percent":
		return "GPU memory used below which it is well again"
	case "nodes.cpu_unhealthy_percent":
		return "CPU load from which a node is unhealthy; 0: not judged"
	case "nodes.cpu_recovered_percent":
		return "CPU load below which it is well again"
	case "nodes.unhealthy_readings":
		return "heartbeats in a row over a limit that make a node unhealthy"
	case "nodes.recovered_readings":
		return "heartbeats in a row below the lower limit that make it well again"
	case "nodes.breaker_max_open_seconds":
		return "the open time doubles with each opening, up to this"
	case "nodes.breaker_decay_seconds":
		return "each such time since the last opening takes one doubling back; after it a quiet breaker closes"
	case "nodes.require_registration":
		return "nodes that did not register get no work"
	case "nodes.retire_seconds":
		return "a node that was offline for this long is not counted any more"
	case "nodes.patience":
		return "how silence is stretched per node"
	case "nodes.patience.providers":
		return "factor by provider: the node's name up to its first dash"
	case "nodes.patience.unknown_provider":
		return "factor of any other"
	case "nodes.patience.busy_cpu_percent":
		return "CPU load from which a node is busy"
	case "nodes.patience.busy_factor":
		return "factor of a busy node"
	case "nodes.patience.full_cpu_percent":
		return "CPU load from which a node is full"
	case "nodes.patience.full_factor":
		return "factor of a full node"
	case "nodes.patience.jitter_percent":
		return "how far nodes are spread about their limit, by their names"
	case "nodes.patience.max_deaths_per_cycle":
		return "silent nodes given up per cycle; more look like our own deafness"
	case "nodes.patience.cycle_seconds":
		return "the length of that cycle"
	case "nodes.idle":
		return "when a GPU that does nothing is noticed"
	case "nodes.idle.gpu_percent":
		return "GPU load below which a node without work is idle"
	case "nodes.idle.seconds":
		return "idle for this long while work waits: noticed"
	case "nodes.idle.zombie_gpu_percent":
		return "GPU load below which a node with work may do nothing"
	case "nodes.idle.zombie_seconds":
		return "with no progress either for this long: its leases are taken"
	case "nodes.idle.every_seconds":
		return "how often nodes are looked at"
	case "nodes.idle.max_per_look":
		return "most nodes looked at closely in one look; the others have their turn in the next"
	case "nodes.cluster":
		return "how the cluster as a whole is judged"
	case "nodes.cluster.unhealthy_percent":
		return "below this share of healthy nodes: unhealthy"
	case "nodes.cluster.healthy_percent":
		return "at this share it is healthy again"
	case "nodes.cluster.min_nodes":
		return "fewer known nodes are not judged"
	case "nodes.cluster.min_healthy":
		return "fewer healthy nodes than this: unhealthy, whatever the share"
	case "nodes.cluster.hold_seconds":
		return "a share counts once it has held for this long"
	case "nodes.cluster.pauses":
		return "the kinds that wait while the cluster is unhealthy"
	case "nodes.cluster.pause_seconds":
		return "the longest for which a report from outside pauses them"
	case "admin":
		return "the numbers of the administration"
	case "admin.max_pause_seconds":
		return "the longest pause with an end; one without an end is until it is lifted"
	case "admin.max_pause_reasons":
		return "most reasons that may hold one kind"
	case "admin.max_paused_kinds":
		return "most kinds that may be paused at once"
	case "daemons":
		return "the numbers of background processes: when restarting one is a loop, and how long to wait before the next restart"
	case "daemons.crash_loop_restarts":
		return "restarts in the window that are a loop"
	case "daemons.crash_loop_window_seconds":
		return "how long a restart counts towards a loop"
	case "daemons.stable_seconds":
		return "running this long forgives every restart"
	case "daemons.backoff_seconds":
		return "wait before the first restart; doubles with each"
	case "daemons.backoff_cap_seconds":
		return "of the first tier"
	case "daemons.backoff_restarts":
		return "restarts in the first tier"
	case "daemons.slow_backoff_seconds":
		return "wait of the second tier; doubles with each"
	case "daemons.slow_cap_seconds":
		return "of the second tier"
	case "daemons.slow_restarts":
		return "restarts in both tiers together"
	case "daemons.critical_retry_seconds":
		return "past both tiers, for critical daemons"
	case "daemons.retry_seconds":
		return "past both tiers, for the others"
	case "daemons.critical":
		return "daemons the cluster cannot do without"
	case "datasync":
		return "the numbers of copied data: when a copy is stalled, and when the data of a game is too old"
	case "datasync.stall_seconds":
		return "a copy without an end for this long is stalled"
	case "datasync.aging_seconds":
		return "data this old is worth a look"
	case "datasync.stale_seconds":
		return "data this old should not be trained on alone"
	case "datasync.critical_seconds":
		return "data this old means that nothing arrives any more"
	case "alarms":
		return "says how long each kind of success may fail to happen before the silence is an alarm"
	case "alarms.dispatch_seconds":
		return "an item is claimed"
	case "alarms.completion_seconds":
		return "an item is completed"
	case "alarms.sync_seconds":
		return "data arrives"
	case "alarms.export_seconds":
		return "training files arrive"
	case "alarms.training_seconds":
		return "a training ends with a model"
	case "alarms.evaluation_seconds":
		return "a model is measured"
	case "alarms.promotion_seconds":
		return "a model replaces another"
	case "training":
		return "the numbers of the training loop"
	case "training.min_rate":
		return "least product of all factors"
	case "training.max_rate":
		return "largest product of all factors"
	case "training.publish_change":
		return "share by which the product must move to be worth an event, 0.01 for one per cent"
	case "training.quality_floor":
		return "least factor that bad data leads to"
	case "training.quality_seconds":
		return "how long one reading of quality counts"
	case "training.quality_block_below":
		return "quality below which the config is not trained"
	case "training.quality_unblock_from":
		return "quality from which it is trained again"
	case "training.search_budget":
		return "simulations per move, usually"
	case "training.search_budgets":
		return "the steps that a budget may climb"
	case "training.velocity_up":
		return "times the factor for an accelerating reading"
	case "training.velocity_max":
		return "largest factor of velocity"
	case "training.velocity_down":
		return "times the factor for a decelerating reading"
	case "training.velocity_min":
		return "least factor of velocity"
	case "training.velocity_return":
		return "share of the way back to 1 that a stable reading goes"
	case "training.velocity_seconds":
		return "how long one reading of velocity counts"
	case "training.plateau_velocity":
		return "Elo per hour below which a reading is a standstill"
	case "training.plateau_readings":
		return "standstills in a row that make a plateau"
	case "training.plateau_cooldown_seconds":
		return "a plateau is neither detected nor boosted again before this"
	case "training.boost_factor":
		return "times the usual exploration on a plateau"
	case "training.boost_step":
		return "added to 1 per plateau in a row, times boost_factor"
	case "training.boost_step_max":
		return "largest of 1 + boost_step × plateaus"
	case "training.boost_seconds":
		return "how long such a boost lasts"
	case "training.temperature":
		return "of move choice on an overfitting plateau"
	case "training.temperature_step":
		return "added per plateau in a row"
	case "training.temperature_max":
		return "largest temperature"
	case "training.games_factor":
		return "times the games of an item on a plateau for want of data"
	case "training.games_factor_step":
		return "added per plateau in a row"
	case "training.games_factor_max":
		return "largest factor on games"
	case "training.promotion_window_seconds":
		return "failures of candidates older than this are forgotten"
	case "training.promotion_ladder":
		return "factors of the first, the second, … model that failed; the last one stays"
	case "training.running_factor":
		return "while a training of the config runs"
	case "training.fresh_factor":
		return "after a training: the next one wants fresh games"
	case "training.fresh_seconds":
		return "how long fresh_factor holds"
	case "training.cluster_floor":
		return "least factor of an unhealthy cluster; else the share of healthy nodes"
	case "training.backlog_on":
		return "evaluations that wait from which selfplay slows down"
	case "training.backlog_off":
		return "evaluations that wait at which that is over"
	case "training.backlog_factor":
		return "while too many evaluations wait"
	case "training.games_counted_by":
		return "which event counts games for training: sync or selfplay"
	case "training.min_games":
		return "new games since the last training that ask for one"
	case "training.bootstrap_games":
		return "games that ask for the first training"
	case "training.failure_wait_seconds":
		return "wait after a failed training; doubles with each in a row"
	case "training.failure_cap_seconds":
		return "longest such wait"
	case "training.lock_seconds":
		return "a training that says nothing more ends after this"
	case "training.request_again_seconds":
		return "a training whose item the queue refused is asked for again after this"
	case "training.item_priority":
		return "of a training's work item, 0 to 100"
	case "training.item_timeout_seconds":
		return "bound on one attempt at a training"
	case "training.item_max_attempts":
		return "attempts before a training is given up"
	case "elo":
		return "the numbers of the ratings"
	case "elo.initial":
		return "what a player is taken for before its first game"
	case "elo.deviation":
		return "how far from it players are, one standard deviation"
	case "elo.smallest":
		return "move of a rating that is worth an event"
	case "elo.velocity_window_seconds":
		return "how far back the slope of the best rating looks"
	case "elo.velocity_span_seconds":
		return "least time between the first and the last moment of a slope"
	case "elo.velocity_every_seconds":
		return "least time between two readings of it"
	case "elo.velocity_points":
		return "least moments of a slope: fewer are noise"
	case "elo.velocity_games":
		return "of a model before it may be the best"
	case "elo.velocity_change":
		return "Elo per hour by which a reading must differ from the one before to be no longer stable"
	case "elo.pinned":
		return "baselines: their ratings never move"
	case "gauntlet":
		return "the numbers of measuring a model"
	case "gauntlet.baselines":
		return "opponents besides the model in use"
	case "gauntlet.games":
		return "per opponent"
	case "gauntlet.in_use_games":
		return "against the model in use: a sequential test of few Elo needs more of them"
	case "gauntlet.test_games":
		return "against the tested opponent between two looks at the test: a work item each, so that it ends early"
	case "gauntlet.same_games":
		return "with one and the same course from which they were one game played again and again"
	case "gauntlet.quick_per_side":
		return "games per seat of a quick look"
	case "gauntlet.max_games":
		return "per opponent, of one gauntlet"
	case "gauntlet.max_opponents":
		return "of one gauntlet"
	case "gauntlet.priority":
		return "of its work item, 0 to 100"
	case "gauntlet.max_attempts":
		return "of its work item"
	case "gauntlet.board_seconds":
		return "bound on one attempt with two players, by board"
	case "gauntlet.three_players":
		return "times that bound"
	case "gauntlet.four_players":
		return "times that bound"
	case "gauntlet.sprt_elo0":
		return "the candidate is no better, in Elo"
	case "gauntlet.sprt_elo1":
		return "the candidate is better, in Elo"
	case "gauntlet.sprt_alpha":
		return "chance to accept elo1 though elo0 holds"
	case "gauntlet.sprt_beta":
		return "chance to accept elo0 though elo1 holds"
	case "promotion":
		return "the numbers of the promotion gates"
	case "promotion.games":
		return "per baseline, and against the model in use"
	case "promotion.production_games":
		return "the same for a candidate of production strength"
	case "promotion.production_elo":
		return "rating from which a candidate is of production strength"
	case "promotion.elo_gain":
		return "over the model in use"
	case "promotion.bootstrap_gain":
		return "the same while the model in use is weak"
	case "promotion.bootstrap_elo":
		return "rating below which the model in use is weak"
	case "promotion.min_velocity":
		return "Elo per hour, where known"
	case "promotion.min_quality":
		return "of the data, where known"
	case "promotion.cooldown_seconds":
		return "between promotions of a config"
	case "promotion.win_rates":
		return "what a candidate must score, harder with more games to learn from"
	case "populator":
		return "the numbers of the selfplay that rift makes up by itself"
	case "populator.configs":
		return "kept at work; none: rift makes up no work"
	case "populator.depth":
		return "selfplay items of a config that wait, at the usual rate"
	case "populator.soft_depth":
		return "the same while the queue is long"
	case "populator.cap":
		return "selfplay items that wait, of all configs"
	case "populator.batch":
		return "most items made up in one tick"
	case "populator.games":
		return "of an item, usually"
	case "populator.priority":
		return "of an item at the usual priority, 0 to 100"
	case "populator.timeout_seconds":
		return "bound on one attempt"
	case "populator.max_attempts":
		return "before an item is given up"
	}
	return ""
}
