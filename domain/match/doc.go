// Package match defines how games are passed to a worker's command and how it
// answers: the payload of a work item, and the check that a result answers it.
//
// It plays nothing and counts nothing. A result that does not match the requested
// games is an error of the command; no part of it is counted as a draw.
//
// Read match.go (the games), then answer.go (the answers).
package match
