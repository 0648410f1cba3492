package esdbserver

import (
	"crypto/tls"
	"slices"
)

// ForTLS returns a TLS configuration for Split: it negotiates HTTP/2 with callers that
// offer nothing else, like gRPC clients, and HTTP/1.1 with callers that offer it, like
// browsers and tools.
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
