// Package raft carries the messages of a replicated log between its nodes over HTTP,
// and tells how a node sees the cluster.
//
//	POST /raft/append       entries, heartbeats and their answers
//	POST /raft/vote         votes, votes beforehand and their answers
//	POST /raft/timeout-now  the leadership is handed over
//	POST /raft/snapshot     a follower is too far behind for entries; with ?after= and
//	                        ?up_to= the records that it copies are streamed
//	POST /raft/members      who is a member, asked of the leader
//	GET  /raft/state        how the node sees the cluster
//
// A body is one message of the library as protobuf, or as JSON. Every POST is signed
// with the key of the cluster; what is not is refused with a code, counted, and never
// reaches Raft. The package decides nothing.
//
// Read sign.go for who may speak, handler.go for what is taken, peers.go for what is sent.
package raft
