package admin

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// ClusterStream returns the stream with the health of a cluster.
func ClusterStream(cluster string) domain.StreamID { return domain.Stream("cluster", cluster) }

// ClusterHealthy: enough nodes are healthy again. This ends pauses for the reason
// "cluster", and no others.
type ClusterHealthy struct {
	HealthyNodes int  `json:"healthy_nodes"`
	NodeCount    int  `json:"node_count"`
	Derived      bool `json:"derived,omitempty"` // derived by rift from its nodes, not reported
}

func (ClusterHealthy) EventType() string     { return "CLUSTER_HEALTHY" }
func (ClusterHealthy) Home() domain.StreamID { return ClusterStream(DefaultCluster) }

func (e ClusterHealthy) Validate() []domain.Fault {
	c := clusterChecks(e.HealthyNodes, e.NodeCount)
	if len(c) == 0 && e.HealthyNodes == 0 {
		c.Fault("healthy_nodes", "want at least one in a healthy cluster, found 0")
	}
	return c
}

// ClusterUnhealthy: too few nodes are healthy for anything but the most important
// work.
type ClusterUnhealthy struct {
	HealthyNodes int    `json:"healthy_nodes"`
	NodeCount    int    `json:"node_count"`
	Reason       string `json:"reason"`
	Derived      bool   `json:"derived,omitempty"` // derived by rift from its nodes, not reported
}

func (ClusterUnhealthy) EventType() string     { return "CLUSTER_UNHEALTHY" }
func (ClusterUnhealthy) Home() domain.StreamID { return ClusterStream(DefaultCluster) }

func (e ClusterUnhealthy) Validate() []domain.Fault {
	c := clusterChecks(e.HealthyNodes, e.NodeCount)
	c.Text("reason", e.Reason)
	return c
}

func clusterChecks(healthy, count int) domain.Checks {
	var c domain.Checks
	domain.AtLeast(&c, "healthy_nodes", healthy, 0)
	domain.AtLeast(&c, "node_count", count, 0)
	if len(c) == 0 && healthy > count {
		c.Fault("healthy_nodes", "want at most the node_count of %d, found %d", count, healthy)
	}
	return c
}

// ClusterState is the health of a cluster as a whole.
type ClusterState string

// The states; empty: not judged yet.
const (
	ClusterWell ClusterState = "healthy"
	ClusterSick ClusterState = "unhealthy"
)

// Cluster is the health of a cluster, folded from its stream.
type Cluster struct {
	State   ClusterState
	Since   time.Time
	Reason  string
	Derived bool // derived by rift, as opposed to reported
}

// Evolve applies a fact of the cluster's stream.
func (c Cluster) Evolve(fact domain.Envelope) Cluster {
	turn := func(to ClusterState, reason string, derived bool) {
		if c.State != to {
			c.Since = fact.Time
		}
		c.State, c.Reason, c.Derived = to, reason, derived
	}
	switch e := fact.Event.(type) {
	case ClusterHealthy:
		turn(ClusterWell, "", e.Derived)
	case ClusterUnhealthy:
		turn(ClusterSick, e.Reason, e.Derived)
	}
	return c
}
