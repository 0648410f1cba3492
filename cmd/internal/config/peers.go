package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Peer is a node of a cluster in the settings.
type Peer struct {
	Node    domain.NodeID `json:"node_id"`
	Address string        `json:"address"` // "http://10.0.0.7:8770"
}

// maxPeers limits the nodes of a list.
const maxPeers = 64

// ParsePeers parses nodes as NAME=URL, separated by commas.
func ParsePeers(list ...string) (peers []Peer, faults []domain.Fault) {
	fault := func(format string, args ...any) {
		faults = append(faults, domain.Fault{Field: "cluster", Reason: fmt.Sprintf(format, args...)})
	}
	seen := map[domain.NodeID]bool{}
	for _, part := range strings.Split(strings.Join(list, ","), ",") {
		name, address, found := strings.Cut(strings.TrimSpace(part), "=")
		at, err := url.Parse(address)
		switch {
		case !found || domain.CheckName(name) != nil:
			fault("want nodes as NAME=URL, found %q", part)
		case err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.Port() == "":
			fault("want the address of %s as http://host:port, found %q", name, address)
		case seen[domain.NodeID(name)]:
			fault("node %s is named twice", name)
		default:
			seen[domain.NodeID(name)] = true
			peer := Peer{domain.NodeID(name), strings.TrimSuffix(address, "/")}
			if at := slices.IndexFunc(peers, func(p Peer) bool { return p.Address == peer.Address }); at >= 0 {
				fault("want addresses that differ, found %s for %s and %s", peer.Address, peers[at].Node, peer.Node)
			}
			peers = append(peers, peer)
		}
	}
	if len(peers) > maxPeers {
		fault("want at most %d nodes, found %d", maxPeers, len(peers))
	}
	return peers, faults
}

// Peers returns the nodes that --cluster lists; none if it is a name.
func (s Serve) Peers() []Peer { return s.peers }

// namePeers parses --cluster as a list of nodes, if it is one and not a name.
func (s *Serve) namePeers() (faults []domain.Fault) {
	if strings.Contains(s.Cluster, "=") {
		s.peers, faults = ParsePeers(s.Cluster)
		s.Cluster = defaultCluster
	}
	if len(s.peers) > 0 && s.ClusterKey == "" {
		faults = append(faults, domain.Fault{Field: "cluster_key", Reason: "want the file of the cluster's key with a list of its nodes; `rift cluster init` makes one"})
	}
	if s.ClusterKey != "" && (s.Log != "" || s.ReadOnly) {
		faults = append(faults, domain.Fault{Field: "cluster_key", Reason: "want neither log nor read_only with it: the log is replicated among the nodes"})
	}
	if s.Join != "" && (s.ClusterKey == "" || len(s.peers) > 0) {
		faults = append(faults, domain.Fault{Field: "join", Reason: "want it with cluster_key, and without a list of nodes"})
	}
	if s.JoinToken != "" && s.Join == "" {
		faults = append(faults, domain.Fault{Field: "join_token_file", Reason: "want it with join"})
	}
	return faults
}

// defaultCluster is the default name of a cluster.
const defaultCluster = "main"
