package esdbserver

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
)

// protocolVersion is the version of EventStoreDB whose protocol is served.
const protocolVersion = "24.6.0"

// featuresService lists the server's methods and features.
type featuresService struct {
	serverfeatures.UnimplementedServerFeaturesServer
	server *Server
}

// features of methods that have any, by service and method in lower case.
var features = map[string][]string{
	"streams.read":        {"position", "events"},
	"streams.batchappend": {"deadline_duration"},
}

// GetSupportedMethods lists the methods of the server's services.
func (f *featuresService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: protocolVersion, Methods: f.server.methods}, nil
}

func featuresOf(method string) []string {
	if strings.HasPrefix(method, "persistentsubscriptions.") {
		return []string{"stream", "all"}
	}
	return features[method]
}

// methodsOf lists the registered methods, with all names in lower case.
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
