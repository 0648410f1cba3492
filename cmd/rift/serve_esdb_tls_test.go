package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// certificateFiles makes a self-signed certificate for the loopback address.
func certificateFiles(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rift"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return writeFile(t, "node.crt", text("CERTIFICATE", signed)), writeFile(t, "node.key", text("EC PRIVATE KEY", secret))
}

func secureClient(t *testing.T, login, address, authority string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString("esdb://" + login + "@" + address + "?tlsCAFile=" + authority)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func appendOne(ctx context.Context, client *esdb.Client, stream string) error {
	event := esdb.EventData{EventID: uuid.New(), EventType: "OrderPlaced", ContentType: esdb.ContentTypeJson, Data: []byte("{}")}
	_, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, event)
	return err
}

func codeIs(err error, code esdb.ErrorCode) bool {
	known, ok := esdb.FromError(err)
	return !ok && known.Code() == code
}

// One address serves browsers, tools and EventStoreDB clients over TLS. EventStoreDB clients
// use their accounts.
func TestServeByTLS(t *testing.T) {
	certificate, key := certificateFiles(t)
	data := filepath.Join(t.TempDir(), "data")
	address := serving(t, "--data", data, "--tls-cert", certificate, "--tls-key", key)
	if err := appendOne(t.Context(), secureClient(t, "admin:changeit", address, certificate), "order-1"); err != nil {
		t.Errorf("the account that every EventStoreDB has: %v", err)
	}
	if err := appendOne(t.Context(), secureClient(t, "admin:changed", address, certificate), "order-1"); !codeIs(err, esdb.ErrorCodeUnauthenticated) {
		t.Errorf("a wrong password: want it unauthenticated, found %v", err)
	}
	if err := appendOne(t.Context(), secureClient(t, "ops:changeit", address, certificate), "$mine"); !codeIs(err, esdb.ErrorCodeAccessDenied) {
		t.Errorf("a system stream: want it denied, found %v", err)
	}
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	for _, protocols := range [][]string{nil, {"h2", "http/1.1"}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: protocols, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: protocols != nil}
		defer transport.CloseIdleConnections()
		for path, want := range map[string]string{"/work/status": `"queued"`, "/info": `"basic"`} {
			response, err := (&http.Client{Transport: transport}).Get("https://" + address + path)
			if err != nil {
				t.Fatalf("%s with %v: %v", path, protocols, err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
				t.Errorf("%s with %v: found %d %s, %v", path, protocols, response.StatusCode, body, err)
			}
		}
	}
	if response, err := http.Get("http://" + address + "/work/status"); err == nil {
		if response.Body.Close(); response.StatusCode == http.StatusOK {
			t.Error("want nothing answered in the clear")
		}
	}
}

func TestServeAccounts(t *testing.T) {
	certificate, key := certificateFiles(t)
	accounts := writeFile(t, "accounts", "boss right-and-long $admins\nshop right-and-long\n")
	address := serving(t, "--data", filepath.Join(t.TempDir(), "data"), "--tls-cert", certificate, "--tls-key", key, "--esdb-accounts", accounts)
	if err := appendOne(t.Context(), secureClient(t, "admin:changeit", address, certificate), "order-1"); !codeIs(err, esdb.ErrorCodeUnauthenticated) {
		t.Errorf("want only the accounts of the file, found %v", err)
	}
	shop := secureClient(t, "shop:right-and-long", address, certificate)
	if err := appendOne(t.Context(), shop, "order-1"); err != nil {
		t.Error(err)
	}
	list := esdb.StreamMetadata{}
	acl := esdb.Acl{}
	acl.AddWriteRoles("boss")
	list.SetAcl(acl)
	if _, err := secureClient(t, "boss:right-and-long", address, certificate).SetStreamMetadata(t.Context(), "order-1", esdb.AppendToStreamOptions{}, list); err != nil {
		t.Fatal(err)
	}
	if err := appendOne(t.Context(), shop, "order-1"); !codeIs(err, esdb.ErrorCodeAccessDenied) {
		t.Errorf("want the stream's access list to hold, found %v", err)
	}
}

func TestServeRefusesHalfOfTLS(t *testing.T) {
	certificate, key := certificateFiles(t)
	for what, c := range map[string]struct {
		args []string
		want string
	}{
		"no key":                {[]string{"--tls-cert", certificate}, "tls_cert and tls_key, or neither"},
		"no such file":          {[]string{"--tls-cert", certificate, "--tls-key", "none"}, "none"},
		"insecure as well":      {[]string{"--tls-cert", certificate, "--tls-key", key, "--insecure-esdb"}, "have accounts"},
		"accounts in the clear": {[]string{"--esdb-accounts", "accounts"}, "want it with tls_cert"},
		"bad accounts":          {[]string{"--tls-cert", certificate, "--tls-key", key, "--esdb-accounts", certificate}, "accounts of EventStoreDB clients"},
	} {
		if r := riftContext(t.Context(), "", nil, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")}, c.args...)...); r.code == exitDone || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: want it refused with %q, found %d: %s", what, c.want, r.code, r.stderr)
		}
	}
}
