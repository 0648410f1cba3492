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

// handshakeTimeout is how long a connection over TLS may take to begin.
const handshakeTimeout = 10 * time.Second

// connections tells calls which certificate their connection came with. Securing a
// connection is the business of its listener.
type connections struct{}

// inTheClear is a connection without TLS.
type inTheClear struct{}

func (inTheClear) AuthType() string { return "none" }

// ServerHandshake finds out what a connection was secured with.
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
	return conn, inTheClear{}, nil
}

// ClientHandshake is for clients, which these are not for.
func (connections) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, domain.Errorf(domain.Internal, "EventStoreDB protocol: want a client's own credentials")
}

// Info says nothing that a server uses.
func (connections) Info() credentials.ProtocolInfo { return credentials.ProtocolInfo{} }

// Clone returns the same, for there is nothing to change.
func (c connections) Clone() credentials.TransportCredentials { return c }

// OverrideServerName is for clients.
func (connections) OverrideServerName(string) error { return nil }

// certified is the login that the certificate of a call's connection names. The
// listener has verified it against the authority that users' certificates come from.
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

// WithUsers has a configuration of TLS take certificates of users, which stand for the
// account that their common name is the login of. authority is the PEM text of what
// these certificates have to come from; a connection with another one is refused, one
// without any is not.
func WithUsers(config *tls.Config, authority []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, domain.Errorf(domain.Invalid, "authority of users' certificates: want certificates in PEM")
	}
	with := config.Clone()
	with.ClientCAs, with.ClientAuth = pool, tls.VerifyClientCertIfGiven
	return with, nil
}
