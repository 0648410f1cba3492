package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport/esdbserver"
)

// tlsOf returns the TLS settings of a server; nil without TLS. If authorities of
// callers are named, a caller without a certificate of theirs is refused.
func tlsOf(settings config.Serve) (*tls.Config, error) {
	if settings.TLSCert == "" {
		return nil, nil
	}
	certificate, err := keyPair(settings.TLSCert, settings.TLSKey)
	if err != nil {
		return nil, err
	}
	secured := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	if settings.ESDBUserCA != "" {
		authority, err := config.ReadFile(settings.ESDBUserCA)
		if err != nil {
			return nil, domain.Errorf(domain.Invalid, "authority of users' certificates: %w", err)
		}
		if secured, err = esdbserver.WithUsers(secured, authority); err != nil {
			return nil, domain.Errorf(domain.Invalid, "%s: %w", settings.ESDBUserCA, err)
		}
	}
	if settings.ClientCA != "" {
		secured.ClientAuth = tls.RequireAndVerifyClientCert
		if secured.ClientCAs, err = authorities(x509.NewCertPool(), settings.ClientCA); err != nil {
			return nil, err
		}
	}
	return esdbserver.ForTLS(secured), nil
}

func keyPair(certificate, key string) (tls.Certificate, error) {
	shown, err := config.ReadFile(certificate)
	secret, err2 := config.ReadFile(key)
	if err = errors.Join(err, err2); err != nil {
		return tls.Certificate{}, domain.Errorf(domain.Invalid, "certificate %s with key %s: %w", certificate, key, err)
	}
	pair, err := tls.X509KeyPair(shown, secret)
	if err != nil {
		return pair, domain.Errorf(domain.Invalid, "certificate %s with key %s: %w", certificate, key, err)
	}
	return pair, nil
}

// authorities adds the authorities in a file to a pool.
func authorities(pool *x509.CertPool, path string) (*x509.CertPool, error) {
	text, err := config.ReadFile(path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "authorities: %w", err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, domain.Errorf(domain.Invalid, "authorities: want certificates in PEM in %s, found none", path)
	}
	return pool, nil
}

// trusting returns the TLS settings of calls: they trust the authorities of the system
// and those in a file, and show a certificate if one is named. nil: the defaults.
func trusting(ca, certificate, key string) (*tls.Config, error) {
	if ca == "" && certificate == "" {
		return nil, nil
	}
	calls := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool() // the system has none
		}
		if calls.RootCAs, err = authorities(pool, ca); err != nil {
			return nil, err
		}
	}
	if certificate != "" {
		pair, err := keyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		calls.Certificates = []tls.Certificate{pair}
	}
	return calls, nil
}

// callsOf returns the TLS settings with which a node calls others.
func callsOf(settings config.Serve) (*tls.Config, error) {
	if settings.ClientCA == "" {
		return nil, nil
	}
	return trusting(settings.ClientCA, settings.TLSCert, settings.TLSKey)
}

// roundTripper is the default transport with the given TLS settings.
func roundTripper(calls *tls.Config) *http.Transport {
	made := http.DefaultTransport.(*http.Transport).Clone()
	if calls != nil {
		made.TLSClientConfig = calls.Clone()
	}
	return made
}
