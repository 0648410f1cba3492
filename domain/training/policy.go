package training

import (
	"github.com/ringrift/rift/domain"
)

// Policy holds the settings of the training loop. The original reacted to one
// signal in several places, in opposite directions; here every signal changes one
// factor, and the comments say in which direction and why.
type Policy struct {
	MinRate       float64 `json:"min_rate" doc:"least product of all factors"`
	MaxRate       float64 `json:"max_rate" doc:"largest product of all factors"`
	PublishChange float64 `json:"publish_change" doc:"share by which the product must move to be worth an event, 0.01 for one per cent"`

	// QUALITY_DEGRADED. The original played fewer games, asked for more games,
	// trained more on the bad data and explored more, all at once. Bad data comes
	// from shallow search, so rift plays fewer games with deeper search, and does
	// not change training or exploration.
	QualityFloor       float64        `json:"quality_floor" doc:"least factor that bad data leads to"`
	QualitySeconds     domain.Seconds `json:"quality_seconds" doc:"how long one reading of quality counts"`
	QualityBlockBelow  float64        `json:"quality_block_below" doc:"quality below which the config is not trained"`
	QualityUnblockFrom float64        `json:"quality_unblock_from" doc:"quality from which it is trained again"`
	SearchBudget       int            `json:"search_budget" doc:"simulations per move, usually"`
	SearchBudgets      []int          `json:"search_budgets" doc:"the steps that a budget may climb"`

	// ELO_VELOCITY_CHANGED: more selfplay for games that gain rating, less for
	// those that do not.
	VelocityUp      float64        `json:"velocity_up" doc:"times the factor for an accelerating reading"`
	VelocityMax     float64        `json:"velocity_max" doc:"largest factor of velocity"`
	VelocityDown    float64        `json:"velocity_down" doc:"times the factor for a decelerating reading"`
	VelocityMin     float64        `json:"velocity_min" doc:"least factor of velocity"`
	VelocityReturn  float64        `json:"velocity_return" doc:"share of the way back to 1 that a stable reading goes"`
	VelocitySeconds domain.Seconds `json:"velocity_seconds" doc:"how long one reading of velocity counts"`
	PlateauVelocity float64        `json:"plateau_velocity" doc:"Elo per hour below which a reading is a standstill"`
	PlateauReadings int            `json:"plateau_readings" doc:"standstills in a row that make a plateau"`

	// PLATEAU_DETECTED. The original slowed a plateau's config for 1800 s and
	// boosted it for 3600 s at the same time. A plateau needs different games, and
	// more of them; slowing it down worked against that, so rift only boosts.
	PlateauCooldownSeconds domain.Seconds `json:"plateau_cooldown_seconds" doc:"a plateau is neither detected nor boosted again before this"`
	BoostFactor            float64        `json:"boost_factor" doc:"times the usual exploration on a plateau"`
	BoostStep              float64        `json:"boost_step" doc:"added to 1 per plateau in a row, times boost_factor"`
	BoostStepMax           float64        `json:"boost_step_max" doc:"largest of 1 + boost_step × plateaus"`
	BoostSeconds           domain.Seconds `json:"boost_seconds" doc:"how long such a boost lasts"`
	Temperature            float64        `json:"temperature" doc:"of move choice on an overfitting plateau"`
	TemperatureStep        float64        `json:"temperature_step" doc:"added per plateau in a row"`
	TemperatureMax         float64        `json:"temperature_max" doc:"largest temperature"`
	GamesFactor            float64        `json:"games_factor" doc:"times the games of an item on a plateau for want of data"`
	GamesFactorStep        float64        `json:"games_factor_step" doc:"added per plateau in a row"`
	GamesFactorMax         float64        `json:"games_factor_max" doc:"largest factor on games"`

	// PROMOTION_FAILED. The original lowered the priority, raised the weight by 20
	// % per failure, and from the third failure lowered it again. Successive
	// failures show that more of the same games do not help, so the config gets
	// less work for a while. More varied games, which would help, are left to the
	// plateau boost.
	PromotionWindowSeconds domain.Seconds `json:"promotion_window_seconds" doc:"failures of candidates older than this are forgotten"`
	PromotionLadder        []LadderStep   `json:"promotion_ladder" doc:"factors of the first, the second, … model that failed; the last one stays"`

	RunningFactor float64        `json:"running_factor" doc:"while a training of the config runs"`
	FreshFactor   float64        `json:"fresh_factor" doc:"after a training: the next one wants fresh games"`
	FreshSeconds  domain.Seconds `json:"fresh_seconds" doc:"how long fresh_factor holds"`
	ClusterFloor  float64        `json:"cluster_floor" doc:"least factor of an unhealthy cluster; else the share of healthy nodes"`
	BacklogOn     int            `json:"backlog_on" doc:"evaluations that wait from which selfplay slows down"`
	BacklogOff    int            `json:"backlog_off" doc:"evaluations that wait at which that is over"`
	BacklogFactor float64        `json:"backlog_factor" doc:"while too many evaluations wait"`

	// When a training is due. Games are counted once, when they can be used for
	// training. With games_counted_by "sync" that is at DATA_SYNC_COMPLETED; games
	// of SELFPLAY_COMPLETE are still on their node. A cluster whose nodes write to
	// one store uses "selfplay".
	GamesCountedBy      string         `json:"games_counted_by" doc:"which event counts games for training: sync or selfplay"`
	MinGames            int64          `json:"min_games" doc:"new games since the last training that ask for one"`
	BootstrapGames      int64          `json:"bootstrap_games" doc:"games that ask for the first training"`
	FailureWaitSeconds  domain.Seconds `json:"failure_wait_seconds" doc:"wait after a failed training; doubles with each in a row"`
	FailureCapSeconds   domain.Seconds `json:"failure_cap_seconds" doc:"longest such wait"`
	LockSeconds         domain.Seconds `json:"lock_seconds" doc:"a training without further reports ends after this"`
	RequestAgainSeconds domain.Seconds `json:"request_again_seconds" doc:"a training whose item the queue refused is requested again after this"`
	ItemPriority        int            `json:"item_priority" doc:"of a training's work item, 0 to 100"`
	ItemTimeoutSeconds  domain.Seconds `json:"item_timeout_seconds" doc:"bound on one attempt at a training"`
	ItemMaxAttempts     int            `json:"item_max_attempts" doc:"attempts before a training is given up"`
}

// The events that can count games for training.
const (
	CountedBySync     = "sync"
	CountedBySelfplay = "selfplay"
)

// LadderStep is a factor and how long it holds.
type LadderStep struct {
	Factor  float64        `json:"factor"`  // of the rate and the priority
	Seconds domain.Seconds `json:"seconds"` // how long it holds
}

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{
		MinRate: 0.25, MaxRate: 2.5, PublishChange: 0.01,
		QualityFloor: 0.5, QualitySeconds: 1800, QualityBlockBelow: 0.30, QualityUnblockFrom: 0.50,
		SearchBudget: 64, SearchBudgets: []int{64, 200, 400, 800, 1600},
		VelocityUp: 1.2, VelocityMax: 1.5, VelocityDown: 0.85, VelocityMin: 0.6, VelocityReturn: 0.05, VelocitySeconds: 24 * 3600,
		PlateauVelocity: 0.5, PlateauReadings: 3, PlateauCooldownSeconds: 3600,
		BoostFactor: 1.8, BoostStep: 0.2, BoostStepMax: 2, BoostSeconds: 3600,
		Temperature: 1.3, TemperatureStep: 0.1, TemperatureMax: 1.8,
		GamesFactor: 1.5, GamesFactorStep: 0.2, GamesFactorMax: 2.5,
		PromotionWindowSeconds: 24 * 3600, PromotionLadder: []LadderStep{{0.7, 1800}, {0.5, 3600}, {0.3, 7200}},
		RunningFactor: 0.6, FreshFactor: 1.3, FreshSeconds: 1800,
		ClusterFloor: 0.3, BacklogOn: 150, BacklogOff: 75, BacklogFactor: 0.5,
		GamesCountedBy: CountedBySync, MinGames: 300, BootstrapGames: 50,
		FailureWaitSeconds: 600, FailureCapSeconds: 4 * 3600, LockSeconds: 24 * 3600, RequestAgainSeconds: 60,
		ItemPriority: 100, ItemTimeoutSeconds: 24 * 3600, ItemMaxAttempts: 3,
	}
}

func (Policy) SectionName() string { return "training" }

func (Policy) About() string {
	return "the numbers of the training loop"
}

func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults returns a fault for every unusable setting.
func (p Policy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	for _, number := range []struct {
		field string
		value float64
	}{
		{"min_rate", p.MinRate},
		{"publish_change", p.PublishChange},
		{"quality_floor", p.QualityFloor},
		{"quality_seconds", float64(p.QualitySeconds)},
		{"velocity_up", p.VelocityUp},
		{"velocity_down", p.VelocityDown},
		{"velocity_min", p.VelocityMin},
		{"velocity_seconds", float64(p.VelocitySeconds)},
		{"plateau_readings", float64(p.PlateauReadings)},
		{"boost_seconds", float64(p.BoostSeconds)},
		{"promotion_window_seconds", float64(p.PromotionWindowSeconds)},
		{"running_factor", p.RunningFactor},
		{"fresh_factor", p.FreshFactor},
		{"fresh_seconds", float64(p.FreshSeconds)},
		{"cluster_floor", p.ClusterFloor},
		{"backlog_on", float64(p.BacklogOn)},
		{"backlog_factor", p.BacklogFactor},
		{"min_games", float64(p.MinGames)},
		{"bootstrap_games", float64(p.BootstrapGames)},
		{"failure_wait_seconds", float64(p.FailureWaitSeconds)},
		{"lock_seconds", float64(p.LockSeconds)},
		{"request_again_seconds", float64(p.RequestAgainSeconds)},
		{"item_timeout_seconds", float64(p.ItemTimeoutSeconds)},
		{"item_max_attempts", float64(p.ItemMaxAttempts)},
	} {
		c.Positive("training."+number.field, number.value)
	}
	if !(p.MinRate <= 1 && 1 <= p.MaxRate) {
		c.Fault("training.min_rate", "want min_rate ≤ 1 ≤ max_rate, found %v and %v", p.MinRate, p.MaxRate)
	}
	if !(p.VelocityMin <= 1 && 1 <= p.VelocityMax) {
		c.Fault("training.velocity_min", "want velocity_min ≤ 1 ≤ velocity_max, found %v and %v", p.VelocityMin, p.VelocityMax)
	}
	if !(p.QualityBlockBelow >= 0 && p.QualityBlockBelow <= p.QualityUnblockFrom && p.QualityUnblockFrom <= 1) {
		c.Fault("training.quality_block_below", "want 0 ≤ quality_block_below ≤ quality_unblock_from ≤ 1, found %v and %v", p.QualityBlockBelow, p.QualityUnblockFrom)
	}
	if most := p.BoostFactor * p.BoostStepMax; !(p.BoostFactor >= 1 && p.BoostStepMax >= 1 && most <= 4) {
		c.Fault("training.boost_factor", "want boost_factor and boost_step_max of at least 1 with a product of at most 4, found %v and %v", p.BoostFactor, p.BoostStepMax)
	}
	if p.BacklogOff > p.BacklogOn || p.BacklogOff < 0 {
		c.Fault("training.backlog_off", "want 0 to backlog_on %d, found %d", p.BacklogOn, p.BacklogOff)
	}
	if p.GamesCountedBy != CountedBySync && p.GamesCountedBy != CountedBySelfplay {
		c.Fault("training.games_counted_by", "want %s or %s, found %q", CountedBySync, CountedBySelfplay, p.GamesCountedBy)
	}
	if p.FailureCapSeconds < p.FailureWaitSeconds {
		c.Fault("training.failure_cap_seconds", "want at least failure_wait_seconds %v, found %v", p.FailureWaitSeconds, p.FailureCapSeconds)
	}
	if p.ItemPriority < 0 || p.ItemPriority > 100 {
		c.Fault("training.item_priority", "want 0 to 100, found %d", p.ItemPriority)
	}
	if p.SearchBudget < 1 {
		c.Fault("training.search_budget", "want at least 1, found %d", p.SearchBudget)
	}
	for i, budget := range p.SearchBudgets {
		if budget < 1 || i > 0 && budget <= p.SearchBudgets[i-1] {
			c.Fault("training.search_budgets", "want steps of at least 1 that climb, found %v", p.SearchBudgets)
			break
		}
	}
	if len(p.PromotionLadder) == 0 {
		c.Fault("training.promotion_ladder", "want at least one step")
	}
	for _, step := range p.PromotionLadder {
		if !(step.Factor > 0) || !(step.Seconds > 0) {
			c.Fault("training.promotion_ladder", "want factors and seconds above 0, found %v for %v", step.Factor, step.Seconds)
		}
	}
	return c
}

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }
