// Package admin is the read model of what people and the process decided about
// the cluster: which kinds of work are paused, for which reasons and until when,
// handlers that failed, and what was done about dead letters.
//
// It lifts no pause when its time is over: PausedKinds goes by the events, and
// DuePauses tells the clock of commands/admin what it has to lift.
//
// Read admin.go (pauses), then handlers.go and letters.go.
package admin
