// Package election decides which node is recorded as the leader of a term. The
// voters have already elected it; the log only makes sure that no term is recorded
// twice.
//
// It asks no voter and keeps no ballot. Read TakeLead.
package election
