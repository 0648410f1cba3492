// Package relay is the decisions about calls through mailboxes: each is decided on
// the stream of the call alone, so that a call that is made twice is one, and an
// answer that comes twice counts once.
//
// It holds no mailbox; the hub does, which issues these commands. Read relay.go.
package relay
