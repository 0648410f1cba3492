package work

import (
	"github.com/ringrift/rift/domain"
)

// legacyItem accepts the old names of an item: tools called it a job, and an
// earlier queue called it work.
func legacyItem(def *domain.Def) {
	domain.Alias("job_id", "task_id")(def)
	domain.Alias("work_id", "task_id")(def)
}

// legacyJob is legacyItem for the event that defines the item.
func legacyJob(def *domain.Def) {
	legacyItem(def)
	domain.Alias("job_type", "task_type")(def)
	domain.Alias("work_type", "task_type")(def)
	domain.Alias("config", "config_key")(def)
	domain.Reshape(domain.ConfigOfBoard)(def)
}
