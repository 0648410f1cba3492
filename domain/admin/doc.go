// Package admin is what people and the process itself do to a cluster: pauses of
// kinds of work, how well the cluster as a whole is, handlers that failed and
// what became of their dead letters, rebuilds of read models, shutdowns.
//
// It decides nothing and pauses nothing by itself. A kind is paused while any
// reason holds it, each until its own end; lifting one leaves the others.
//
// Read pauses.go first, then cluster.go and letters.go: each has its events and
// the state they fold into. admin.go lists them all in Events.
package admin
