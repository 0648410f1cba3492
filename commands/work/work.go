package work

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// Specs returns the specs of the queue's commands.
func Specs() []commands.Spec {
	specs := []commands.Spec{
		commands.HandleAnswer("queue an item", addTask,
			func(_ work.Task, c AddTask, _ []domain.Envelope) TaskAdded {
				return TaskAdded{c.TaskID, c.admission.level}
			},
			commands.Normalize(completeAdd), commands.Check(checkAdd)),
		commands.Fan("take items for a node", planClaim, combineClaim, commands.Normalize(completeClaim)),
		commands.HandleAnswer("give an item to a node", lease, leased),
		commands.HandleAnswer("say that work on an item began", startTask, started, commands.Normalize(completeReport[StartTask])),
		commands.HandleAnswer("keep a lease alive", heartbeatTask, heartbeaten, commands.Normalize(completeReport[HeartbeatTask])),
		commands.Handle("report an item done", completeTask, commands.Normalize(completeReport[CompleteTask])),
		commands.Handle("report that an attempt failed", failTask, commands.Normalize(completeReport[FailTask])),
		commands.Handle("give an item back unfinished", releaseTask, commands.Normalize(completeReport[ReleaseTask])),
		commands.Handle("cancel an item", cancelTask, commands.Normalize(func(c CancelTask, _ domain.Facts) (CancelTask, error) {
			return c, domain.Faulty("work.cancel", commands.NameFaults("task_id", string(c.TaskID)))
		})),
		commands.Handle("end a lease whose deadline passed", expireTask),
		commands.Handle("decide what follows a failed attempt", retryTask),
		commands.Handle("queue an item whose back-off is over", requeueTask),
		commands.Handle("note that a dependency is done", unblockTask),
		commands.Handle("cancel an item that waits for one which ended without being done", abandonTask),
		commands.Handle("take a lease from a node that is not trusted", revokeTask),
		commands.Fan("queue many items", planBatch, combineBatch, commands.Normalize(completeBatch), commands.Each()),
		reports("report many items done", func(c CompleteTasks) []CompleteTask { return c.Items }, combineCompleted),
		reports("report that many attempts failed", func(c FailTasks) []FailTask { return c.Items }, combineFailed),
		reports("keep many leases alive", func(c HeartbeatTasks) []HeartbeatTask { return c.Items }, combineBeaten),
		commands.Fan("cancel the items of a class", planCancelBatch, combineCancelBatch, commands.Normalize(completeCancelBatch), commands.Each()),
		commands.Handle("keep a node's room for an item that has starved for long", reserveTask),
		commands.Handle("ask a holder to give way to a more urgent item", preemptTask),
		commands.Handle("let any node have an item that was meant for one", unpinTask),
		commands.Record[announcePressure]("say that the queue got long, or short again"),
	}
	for i := range specs {
		specs[i] = commands.OnQueue(specs[i])
	}
	return specs
}
