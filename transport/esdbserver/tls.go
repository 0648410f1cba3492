package esdbserver

import (
	"crypto/tls"
	"slices"
)

// ForTLS gives a configuration of TLS what Split needs: HTTP/2 for callers that speak
// nothing else, as gRPC does, and HTTP/1.1 for those that can, as browsers and tools
// do.
func ForTLS(config *tls.Config) *tls.Config {
	both := config.Clone()
	both.NextProtos = []string{"h2"}
	other := config.Clone()
	other.NextProtos = []string{"http/1.1"}
	both.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(hello.SupportedProtos) == 0 || slices.Contains(hello.SupportedProtos, "http/1.1") {
			return other, nil
		}
		return nil, nil
	}
	return both
}
