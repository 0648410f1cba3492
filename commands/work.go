package commands

import (
	"errors"

	"github.com/ringrift/rift/domain"
)

// Work is how the commands of the queue are run.
func Work() []Spec {
	specs := []Spec{
		HandleAnswer("queue an item", addTask,
			func(_ domain.Task, c AddTask, _ []domain.Envelope) TaskAdded {
				return TaskAdded{c.TaskID, c.admission.level}
			},
			Normalize(completeAdd), Check(checkAdd)),
		Fan("take items for a node", planClaim, combineClaim, Normalize(completeClaim)),
		HandleAnswer("give an item to a node", lease, leased),
		HandleAnswer("say that work on an item began", startTask, started, Normalize(completeReport[StartTask])),
		HandleAnswer("keep a lease alive", heartbeatTask, heartbeaten, Normalize(completeReport[HeartbeatTask])),
		Handle("report an item done", completeTask, Normalize(completeReport[CompleteTask])),
		Handle("report that an attempt failed", failTask, Normalize(completeReport[FailTask])),
		Handle("give an item back unfinished", releaseTask, Normalize(completeReport[ReleaseTask])),
		Handle("cancel an item", cancelTask, Normalize(func(c CancelTask, _ domain.Facts) (CancelTask, error) {
			return c, domain.Faulty("work.cancel", nameFaults("task_id", string(c.TaskID)))
		})),
		Handle("end a lease whose deadline passed", expireTask),
		Handle("decide what follows a failed attempt", retryTask),
		Handle("queue an item whose back-off is over", requeueTask),
		Handle("note that a dependency is done", unblockTask),
		Handle("cancel an item that waits for one which ended without being done", abandonTask),
		Handle("take a lease from a node that is not trusted", revokeTask),
		Fan("queue many items", planBatch, combineBatch, Normalize(completeBatch), Each()),
		reports("report many items done", func(c CompleteTasks) []CompleteTask { return c.Items }, combineCompleted),
		reports("report that many attempts failed", func(c FailTasks) []FailTask { return c.Items }, combineFailed),
		reports("keep many leases alive", func(c HeartbeatTasks) []HeartbeatTask { return c.Items }, combineBeaten),
		Fan("cancel the items of a class", planCancelBatch, combineCancelBatch, Normalize(completeCancelBatch), Each()),
		Handle("keep a node's room for an item that has starved for long", reserveTask),
		Handle("ask a holder to give way to a more urgent item", preemptTask),
		Handle("let any node have an item that was meant for one", unpinTask),
		Record[announcePressure]("say that the queue got long, or short again"),
	}
	for i := range specs {
		specs[i] = OnQueue(specs[i])
	}
	return specs
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func nameFaults(field, name string) []domain.Fault {
	if err := domain.CheckName(name); err != nil {
		var coded *domain.Error
		if errors.As(err, &coded) {
			return []domain.Fault{{Field: field, Reason: coded.Msg}}
		}
	}
	return nil
}
