package work

import (
	"github.com/ringrift/rift/domain"
)

// The old words for an item: tools called it a job, and a queue before that work.
func legacyItem(def *domain.Def) {
	domain.Alias("job_id", "task_id")(def)
	domain.Alias("work_id", "task_id")(def)
}

// legacyJob is legacyItem for the event that says what the item is.
func legacyJob(def *domain.Def) {
	legacyItem(def)
	domain.Alias("job_type", "task_type")(def)
	domain.Alias("work_type", "task_type")(def)
	domain.Alias("config", "config_key")(def)
	domain.Reshape(domain.ConfigOfBoard)(def)
}
