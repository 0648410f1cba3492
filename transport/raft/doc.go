// Package raft carries the messages of a replicated log between its nodes over HTTP,
// and shows how a node sees the cluster.
//
//	POST /raft/append       entries, heartbeats and their answers
//	POST /raft/vote         votes, pre-votes and their answers
//	POST /raft/timeout-now  transfer of the leadership
//	POST /raft/snapshot     a follower is too far behind for entries; with ?after= and
//	                        ?up_to= the records that it copies are streamed
//	POST /raft/members      the members; answered by the leader
//	GET  /raft/state        how the node sees the cluster
//
// A body is one raftpb message as protobuf, or JSON. Every POST is signed with a key
// that the two nodes share; an unsigned one is refused with a code, counted, and never
// reaches Raft. The package decides nothing.
//
// Read sign.go for authentication, handler.go for received and peers.go for sent messages.
package raft
