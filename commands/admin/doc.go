// Package admin decides what operators, and the cluster's health, may command:
// pausing and resuming kinds of work, reporting on the cluster as a whole,
// rebuilding read models, retrying and discarding dead letters, shutting a node
// down.
//
// A pause stops nothing that is running, and pauses are independent: each has its
// own reason and end. Nothing is retried or rebuilt here; a node that reads the
// event does it.
//
// Read pauses.go first (a decision, its Spec and the clock that ends pauses), then
// cluster.go (the reactors), letters.go and rebuild.go.
package admin
