package esdbserver

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/ringrift/rift/domain"
)

// protocolVersion is the version of the database whose protocol is spoken.
const protocolVersion = "24.6.0"

// featuresService tells clients what the server can do.
type featuresService struct {
	serverfeatures.UnimplementedServerFeaturesServer
	server *Server
}

// features of methods that have any, by service and method in lower case.
var features = map[string][]string{
	"streams.read":        {"position", "events"},
	"streams.batchappend": {"deadline_duration"},
}

// GetSupportedMethods lists what the server's services have.
func (f *featuresService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: protocolVersion, Methods: f.server.methods}, nil
}

func featuresOf(method string) []string {
	if strings.HasPrefix(method, "persistentsubscriptions.") {
		return []string{"stream", "all"}
	}
	return features[method]
}

// methodsOf lists what a server has registered; all names are in lower case.
func methodsOf(services map[string]grpc.ServiceInfo) []*serverfeatures.SupportedMethod {
	var methods []*serverfeatures.SupportedMethod
	for service, info := range services {
		for _, method := range info.Methods {
			name, key := strings.ToLower(method.Name), strings.ToLower(service[strings.LastIndexByte(service, '.')+1:]+"."+method.Name)
			methods = append(methods, &serverfeatures.SupportedMethod{MethodName: name, ServiceName: strings.ToLower(service), Features: featuresOf(key)})
		}
	}
	slices.SortFunc(methods, func(a, b *serverfeatures.SupportedMethod) int {
		return cmp.Or(cmp.Compare(a.ServiceName, b.ServiceName), cmp.Compare(a.MethodName, b.MethodName))
	})
	return methods
}

// gossipService tells clients who belongs to the cluster: this node alone.
type gossipService struct {
	gossip.UnimplementedGossipServer
	server *Server
}

// Read lists this node by the name that the client called it by, which is the one that
// the client can resolve and expects a certificate for, or at the address where it is.
func (g *gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	var address string
	if found, ok := peer.FromContext(ctx); ok && found.LocalAddr != nil {
		address = found.LocalAddr.String()
	}
	if called := metadata.ValueFromIncomingContext(ctx, ":authority"); len(called) > 0 {
		if _, port := splitAddress(called[0]); port != 0 {
			address = called[0]
		}
	}
	host, port := splitAddress(address)
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId: uuidOf(domain.EventID(g.server.id), true), TimeStamp: ticksOf(g.server.clock()), State: gossip.MemberInfo_Leader, IsAlive: true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: port},
	}}}, nil
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
