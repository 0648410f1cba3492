// Package raft carries the messages of a replicated log between its nodes over HTTP,
// and shows how a node sees the cluster.
//
//	POST /raft/append       entries, heartbeats and their answers
//	POST /raft/vote         votes, pre-votes and their answers
//	POST /raft/stream       any of these messages, as long as there are some
//	POST /raft/timeout-now  transfer of the leadership
//	POST /raft/ready        whether the node could decide at once if it led
//	POST /raft/snapshot     a follower is too far behind for entries; with ?after= and
//	                        ?up_to= the records that it copies are streamed
//	POST /raft/members      the members; answered by the leader
//	GET  /raft/state        how the node sees the cluster
//
// A body is one raftpb message as protobuf, or JSON. Every POST is signed with a key
// that the two nodes share; an unsigned one is refused with a code, counted, and never
// reaches Raft. The package decides nothing.
//
// Read sign.go for authentication, messages.go for the stream that nodes send each other
// messages in, peers.go for sent and handler.go for received ones.
package raft
