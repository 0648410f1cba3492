// Package admin is the read model of the administration: which kinds of work are
// paused, for which reasons and until when, failed handlers, and commands about
// dead letters.
//
// It ends no pause when its time is over: PausedKinds depends on events only, and
// DuePauses lists for the clock of commands/admin what has expired.
//
// Read admin.go (pauses), then handlers.go and letters.go.
package admin
