// Package raft is the read model of a cluster's members: who joined, left and
// votes, since when and on whose request.
//
// No decision uses it: the configuration of the replicated log is authoritative.
// Read Projection.
package raft

import (
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/raft"
	"github.com/ringrift/rift/projections"
)

// MemberRow is a current or former member.
type MemberRow struct {
	NodeID        domain.NodeID   `json:"node_id"`
	Address       string          `json:"address"`
	Voter         bool            `json:"voter"`
	Joined        time.Time       `json:"joined"`
	Left          *time.Time      `json:"left"`          // null: it is a member
	Since         time.Time       `json:"since"`         // of the last change
	By            string          `json:"by,omitempty"`  // who requested it
	Changes       int             `json:"changes"`       // number of changes of the node
	Configuration uint64          `json:"configuration"` // the log entry of the last change
	Position      domain.Position `json:"position"`
}

var raftMembersTable = projections.Table[MemberRow]{Name: "raft.members"}

// Projection returns the read model of members.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "raft", Version: 1, About: "who replicates the log: members and voters, since when and on whose word",
		Tables: []string{raftMembersTable.Name},
		Handlers: []projections.Handler{
			projections.On(nodeJoined), projections.On(nodeLeft), projections.On(voterAdded), projections.On(voterRemoved),
		},
	}
}

func change(tx projections.Tx, e domain.Envelope, node domain.NodeID, configuration uint64, f func(*MemberRow)) error {
	return raftMembersTable.Update(tx, projections.Pair(e.Stream.ID(), string(node)), func(row *MemberRow) {
		row.NodeID, row.Since, row.By, row.Configuration, row.Position = node, e.Time, e.Meta.Actor, configuration, e.Position
		row.Changes++
		f(row)
	})
}

func nodeJoined(tx projections.Tx, e domain.Envelope, joined raft.NodeJoined) error {
	return change(tx, e, joined.NodeID, joined.Configuration, func(row *MemberRow) {
		if row.Changes == 1 || row.Left != nil {
			row.Joined, row.Left, row.Voter = e.Time, nil, false
		}
		row.Address = joined.Address
	})
}

func nodeLeft(tx projections.Tx, e domain.Envelope, left raft.NodeLeft) error {
	return change(tx, e, left.NodeID, left.Configuration, func(row *MemberRow) { row.Left, row.Voter = &e.Time, false })
}

func voterAdded(tx projections.Tx, e domain.Envelope, added raft.VoterAdded) error {
	return change(tx, e, added.NodeID, added.Configuration, func(row *MemberRow) { row.Voter = true })
}

func voterRemoved(tx projections.Tx, e domain.Envelope, removed raft.VoterRemoved) error {
	return change(tx, e, removed.NodeID, removed.Configuration, func(row *MemberRow) { row.Voter = false })
}

// MembersAnswer lists the nodes by name, including those that left.
type MembersAnswer struct {
	Members []json.RawMessage `json:"members" doc:"current and former members, by cluster and name"`
}

// Members returns the current and former members of clusters.
func Members(v projections.View, _ projections.NoQuestion) (MembersAnswer, error) {
	answer := MembersAnswer{Members: []json.RawMessage{}}
	for row, err := range raftMembersTable.RawScan(v, projections.Span{}) {
		if err != nil {
			return MembersAnswer{}, err
		}
		if len(answer.Members) == projections.ScannedPerPage {
			break
		}
		answer.Members = append(answer.Members, row.Value)
	}
	return answer, nil
}
