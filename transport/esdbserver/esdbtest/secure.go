package esdbtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringrift/rift/transport/esdbserver"
)

// Authority issues certificates for a test, as files of PEM in a folder that goes with it.
type Authority struct {
	t      testing.TB
	folder string
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// NewAuthority makes an authority. A failure ends the test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, folder: t.TempDir()}
	a.issue("authority", &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// File is the authority's own certificate, which clients know nodes by (tlsCAFile).
func (a *Authority) File() string { return a.path("authority.crt") }

// User issues a certificate for a login (userCertFile, userKeyFile), whether there is
// such an account or not.
func (a *Authority) User(login string) (certificate, key string) {
	a.t.Helper()
	return a.issue(login, &x509.Certificate{Subject: pkix.Name{CommonName: login}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// TLS is what a node on the loopback is secured with that takes users' certificates.
func (a *Authority) TLS() *tls.Config {
	a.t.Helper()
	certificate, key := a.issue("node", &x509.Certificate{
		Subject: pkix.Name{CommonName: "node"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := os.ReadFile(a.File())
	if err != nil {
		a.t.Fatal(err)
	}
	config, err := esdbserver.WithUsers(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, text)
	if err != nil {
		a.t.Fatal(err)
	}
	return esdbserver.ForTLS(config)
}

func (a *Authority) path(name string) string { return filepath.Join(a.folder, name) }

// issue makes a certificate; the first one signs itself and all that follow.
func (a *Authority) issue(name string, template *x509.Certificate) (certificateFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.root == nil {
		a.root, a.key = template, key
	}
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	signed, err := x509.CreateCertificate(rand.Reader, template, a.root, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certificateFile, keyFile = a.path(name+".crt"), a.path(name+".key")
	for file, block := range map[string]*pem.Block{certificateFile: {Type: "CERTIFICATE", Bytes: signed}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return certificateFile, keyFile
}
