// Package relay decides about calls through mailboxes. Each call is decided on its
// own stream, so that a repeated call or a repeated answer counts once.
//
// It holds no mailbox; the hub does, which issues these commands. Read relay.go.
package relay
