package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// signedFiles makes a certificate for a name, signed by an authority.
func signedFiles(t *testing.T, name, authority, authorityKey string) (certificate, key string) {
	t.Helper()
	signer, err := tls.LoadX509KeyPair(authority, authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, signer.Leaf, &private.PublicKey, signer.PrivateKey)
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
	return writeFile(t, name+".crt", text("CERTIFICATE", signed)), writeFile(t, name+".key", text("EC PRIVATE KEY", secret))
}

// With --client-ca, a caller needs a certificate of such an authority, and the name in it
// decides what the caller may do.
func TestServeClientCA(t *testing.T) {
	certificate, key := certificateFiles(t) // its own authority
	tokens := writeFile(t, "tokens", "boss long-enough-to-be-good admin\nviewer long-enough-to-read read\n")
	if err := os.Chmod(tokens, 0o600); err != nil {
		t.Fatal(err)
	}
	address := "https://" + serving(t, "--data", filepath.Join(t.TempDir(), "data"), "--tls-cert", certificate, "--tls-key", key, "--client-ca", certificate, "--token-file", tokens)
	ask := func(name string, args ...string) ran {
		t.Helper()
		args = append(args, "--addr", address, "--ca", certificate)
		if name != "" {
			shown, secret := signedFiles(t, name, certificate, key)
			args = append(args, "--client-cert", shown, "--client-key", secret)
		}
		return rift(t, args...)
	}
	ask("boss", "work", "add", "selfplay", "--task-id", "t1").want(t, exitDone, `"t1"`, "")
	ask("viewer", "work", "status").want(t, exitDone, "", "")
	ask("viewer", "work", "add", "selfplay").want(t, exitError, "", "found one of role read")
	ask("stranger", "work", "status").want(t, exitError, "", `certificate of "stranger": want one of a name that is in the token file`)
	rift(t, "log", "show", "--addr", address, "--ca", certificate, "--client-cert", certificate, "--client-key", key).want(t, exitError, "", `certificate of "rift"`)
	if shown := ask("", "work", "status"); shown.code == exitDone {
		t.Errorf("a caller without a certificate: want it refused, found %s", shown.stdout)
	}
	other, otherKey := certificateFiles(t)
	fake, fakeKey := signedFiles(t, "boss", other, otherKey)
	if shown := rift(t, "work", "status", "--addr", address, "--ca", certificate, "--client-cert", fake, "--client-key", fakeKey); shown.code == exitDone {
		t.Errorf("a certificate that another authority signed: want it refused, found %s", shown.stdout)
	}
	roots, err := authorities(x509.NewCertPool(), certificate)
	if err != nil {
		t.Fatal(err)
	}
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	if answer, err := plain.Get(address + "/healthz"); err == nil {
		_ = answer.Body.Close()
		t.Error("want no answer at all without a certificate")
	}
	rift(t, "serve", "--client-ca", certificate).want(t, exitError, "", "want it with tls_cert, and with token_file")
}
