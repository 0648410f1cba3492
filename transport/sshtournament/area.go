// Package sshtournament registers the area of tournaments over SSH: events, policy, read
// model, decisions and endpoints. It holds no logic of its own.
//
// Read domain/sshtournament for its states, cmd/internal/sshrun for what runs them.
package sshtournament

import (
	sshcmd "github.com/ringrift/rift/commands/sshtournament"
	"github.com/ringrift/rift/domain"
	ssh "github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/projections"
	sshview "github.com/ringrift/rift/projections/sshtournament"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "sshtournament",
		Events:      ssh.Events(),
		Sections:    domain.Sections{ssh.DefaultPolicy()},
		Projections: []projections.Projection{sshview.Projection()},
		Reactors:    sshcmd.Reactors(),
		Specs:       sshcmd.Specs(),
		Routes: []transport.Route{
			transport.Post[sshcmd.RunTournament]("/ssh_tournament/run", transport.By(transport.RoleAdmin)), // it runs commands on other machines
			transport.Post[sshcmd.Cancel]("/ssh_tournament/cancel"),
			transport.Get("/ssh_tournament/status", "ssh_tournament.status", sshview.StatusOf, transport.About("how far tournaments over SSH are: one in full, or all by name")),
		},
	}
}
