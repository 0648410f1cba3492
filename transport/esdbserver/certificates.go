package esdbserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/ringrift/rift/domain"
)

// handshakeTimeout bounds the TLS handshake.
const handshakeTimeout = 10 * time.Second

// connections gives calls the TLS state of their connection. The listener does the TLS.
type connections struct{}

// plaintext is a connection without TLS.
type plaintext struct{}

func (plaintext) AuthType() string { return "none" }

// ServerHandshake returns the TLS state of a connection.
func (connections) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured := conn
	for secured != nil {
		if over, ok := secured.(*tls.Conn); ok {
			ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
			defer cancel()
			if err := over.HandshakeContext(ctx); err != nil {
				return nil, nil, err
			}
			return conn, credentials.TLSInfo{State: over.ConnectionState()}, nil
		}
		inner, ok := secured.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		secured = inner.NetConn()
	}
	return conn, plaintext{}, nil
}

// ClientHandshake returns an error: these are credentials of a server.
func (connections) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, domain.Errorf(domain.Internal, "EventStoreDB protocol: want a client's own credentials")
}

// Info returns nothing, because a server does not use it.
func (connections) Info() credentials.ProtocolInfo { return credentials.ProtocolInfo{} }

// Clone returns the same credentials, because they have no state.
func (c connections) Clone() credentials.TransportCredentials { return c }

// OverrideServerName does nothing; it is for clients.
func (connections) OverrideServerName(string) error { return nil }

// certified returns the login in the certificate of a call's connection. The listener has
// verified the certificate against the authority of users' certificates.
func certified(ctx context.Context) (login string, shown bool) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return "", false
	}
	over, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok || len(over.State.VerifiedChains) == 0 {
		return "", false
	}
	return over.State.PeerCertificates[0].Subject.CommonName, true
}

// WithUsers returns a TLS configuration that accepts certificates of users, whose common
// name is the login of an account. authority is the PEM text of their certificate
// authority. A connection with another certificate is refused, one without any is not.
func WithUsers(config *tls.Config, authority []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, domain.Errorf(domain.Invalid, "authority of users' certificates: want certificates in PEM")
	}
	with := config.Clone()
	with.ClientCAs, with.ClientAuth = pool, tls.VerifyClientCertIfGiven
	return with, nil
}
