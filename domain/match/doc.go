// Package match is the form in which games are given to a worker's command and
// in which it answers: what a work item's payload asks for, and whether a result
// answers it.
//
// It plays nothing and counts nothing. A result that does not fit the games that
// were asked for is an error of the command that gave it; no part of it is taken
// for a draw.
//
// Read match.go (the games), then answer.go (the answers).
package match
