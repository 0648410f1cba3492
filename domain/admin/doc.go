// Package admin is the administration of a cluster by operators and the process
// itself: pauses of kinds of work, the health of the cluster as a whole, failed
// handlers and their dead letters, rebuilds of read models, shutdowns.
//
// It decides nothing and pauses nothing by itself. A kind is paused while there is
// any reason, each with its own end; lifting one leaves the others.
//
// Read pauses.go first, then cluster.go and letters.go: each has its events and the
// state they fold into. Events, in admin.go, lists them all.
package admin
