package esdbserver

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/ringrift/rift/domain"
)

// Member is a node of the cluster.
type Member struct {
	Name    string     // the same on every node
	Address string     // of its endpoints, "http://10.0.0.7:8770"; empty: unknown
	Role    MemberRole // as far as this node knows
	Alive   bool
	Self    bool // this node
}

// MemberRole is the role of a member.
type MemberRole int

// The roles of members.
const (
	RoleUnknown  MemberRole = iota // an election may be under way
	RoleLeader                     // appends go to it
	RoleFollower                   // it votes
	RoleReplica                    // it follows and does not vote
)

// states are the roles in the protocol's form.
var states = map[MemberRole]gossip.MemberInfo_VNodeState{
	RoleUnknown: gossip.MemberInfo_Unknown, RoleLeader: gossip.MemberInfo_Leader,
	RoleFollower: gossip.MemberInfo_Follower, RoleReplica: gossip.MemberInfo_ReadOnlyReplica,
}

// gossipService lists the members of the cluster.
type gossipService struct {
	gossip.UnimplementedGossipServer
	server *Server
}

// Read lists the members whose address is known. The address of this node is the one that
// the client used, because the client can resolve it and expects it in the certificate; or
// else the local address of the connection.
func (g *gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	var called string
	if found, ok := peer.FromContext(ctx); ok && found.LocalAddr != nil {
		called = found.LocalAddr.String()
	}
	if names := metadata.ValueFromIncomingContext(ctx, ":authority"); len(names) > 0 {
		if _, port := splitAddress(names[0]); port != 0 {
			called = names[0]
		}
	}
	members, err := g.server.members(ctx, called)
	if err != nil {
		return nil, err
	}
	info := &gossip.ClusterInfo{}
	for i := range members {
		m := &members[i]
		info.Members = append(info.Members, &gossip.MemberInfo{
			InstanceId: uuidOf(m.id, true), TimeStamp: ticksOf(g.server.clock()), State: states[m.Role], IsAlive: m.Alive,
			HttpEndPoint: &gossip.EndPoint{Address: m.host, Port: m.port},
		})
	}
	return info, nil
}

// listed is a member in the list for clients.
type listed struct {
	Member
	id   domain.EventID
	host string
	port uint32
}

// members lists the members, with called as the address of this node. Without a cluster it
// lists this node only.
func (s *Server) members(ctx context.Context, called string) ([]listed, error) {
	host, port := splitAddress(called)
	if s.config.Members == nil {
		return []listed{{Member{Role: RoleLeader, Alive: true, Self: true}, domain.EventID(s.id), host, port}}, nil
	}
	members, err := s.config.Members(ctx)
	if err != nil {
		return nil, err
	}
	var list []listed
	for _, m := range members {
		one := listed{Member: m, id: memberID(m.Name), host: host, port: port}
		if !m.Self {
			if one.host, one.port = endpoint(m.Address); one.host == "" {
				continue
			}
		}
		list = append(list, one)
	}
	return list, nil
}

// memberID returns the id of a member, with the version bits of a UUID by name, which
// clients check.
func memberID(name string) domain.EventID {
	id := uuid.UUID(domain.DeriveID("EventStoreDB member "+name, 0))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return domain.EventID(id)
}

// endpoint returns the host and port of a node's address; empty if the address is invalid.
func endpoint(address string) (host string, port uint32) {
	at, err := url.Parse(address)
	if err != nil || at.Hostname() == "" {
		return "", 0
	}
	byScheme := map[string]string{"http": "80", "https": "443"}
	n, err := strconv.ParseUint(cmp.Or(at.Port(), byScheme[at.Scheme]), 10, 16)
	if err != nil {
		return "", 0
	}
	return at.Hostname(), uint32(n)
}

// gossip is Read over HTTP.
func (s *Server) gossip(w http.ResponseWriter, r *http.Request) {
	head, err := s.log.Head(r.Context())
	var members []listed
	if err == nil {
		members, err = s.members(r.Context(), r.Host)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	all := make([]map[string]any, len(members))
	for i := range members {
		m := &members[i]
		all[i] = map[string]any{
			"instanceId": m.id.String(), "timeStamp": s.clock().UTC().Format(time.RFC3339Nano), "state": states[m.Role].String(), "isAlive": m.Alive,
			"httpEndPointIp": m.host, "httpEndPointPort": m.port, "epochNumber": 0, "isReadOnlyReplica": m.Role == RoleReplica,
		}
		if m.Self { // the positions of others are unknown
			all[i]["lastCommitPosition"], all[i]["writerCheckpoint"], all[i]["chaserCheckpoint"] = head, head, head
		}
	}
	host, port := splitAddress(r.Host)
	answerJSON(w, map[string]any{"members": all, "serverIp": host, "serverPort": port})
}

// role returns the role of this node in lower case.
func (s *Server) role(ctx context.Context) string {
	members, err := s.members(ctx, "")
	if err != nil {
		return "unknown"
	}
	for i := range members {
		if members[i].Self {
			return strings.ToLower(states[members[i].Role].String())
		}
	}
	return "unknown"
}

func splitAddress(address string) (host string, port uint32) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return address, 0
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return host, 0
	}
	return host, uint32(n)
}

func ticksOf(at time.Time) int64 { return at.UnixMicro() * 10 }
