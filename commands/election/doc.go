// Package election decides who is written down as the leader of a term. Who that is
// the voters said before: here only the log has its say, which takes no term twice.
//
// It asks no voter and keeps no ballot. Read TakeLead.
package election
