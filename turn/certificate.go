package turn

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"time"

	"parley/internal/clock"
)

// selfSignedLife is how long a certificate of our own is valid.
const selfSignedLife = 30 * 24 * time.Hour

// certificate is the TLS identity, read again from its files when they change.
type certificate struct {
	certFile, keyFile string
	certPEM, keyPEM   []byte // as last read; of watch alone after New
	current           atomic.Pointer[tls.Certificate]
	server            *tls.Config // of every handshake; presents current
}

// newCertificate reads or makes the certificate that cfg asks for; nil without TLS.
func newCertificate(cfg Config) (*certificate, error) {
	if cfg.TLSAddr == Off {
		return nil, nil
	}
	c := &certificate{certFile: cfg.CertFile, keyFile: cfg.KeyFile}
	c.server = &tls.Config{
		MinVersion: tls.VersionTLS12,
		// A frame stays in one record (see stream.flush).
		DynamicRecordSizingDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
	if cfg.SelfSigned {
		pair, err := selfSigned(cfg.Host, time.Now())
		if err != nil {
			return nil, fmt.Errorf("turn: make certificate: %w", err)
		}
		c.current.Store(pair)
		return c, nil
	}
	if _, err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// load reads the files and reports whether they hold something new. When they
// cannot be used, the certificate in use stays.
func (c *certificate) load() (bool, error) {
	certPEM, err := os.ReadFile(c.certFile)
	if err != nil {
		return false, fmt.Errorf("turn: certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(c.keyFile)
	if err != nil {
		return false, fmt.Errorf("turn: certificate key: %w", err)
	}
	if bytes.Equal(certPEM, c.certPEM) && bytes.Equal(keyPEM, c.keyPEM) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return false, fmt.Errorf("turn: certificate: %w", err)
	}
	c.certPEM, c.keyPEM = certPEM, keyPEM
	c.current.Store(&pair)
	return true, nil
}

// watch loads the files every so often until ctx ends.
func (c *certificate) watch(ctx context.Context, every time.Duration, clk clock.Clock, m *metrics, log *slog.Logger) {
	for clk.Wait(ctx, clk.Now().Add(every)) == nil {
		changed, err := c.load()
		switch {
		case err != nil:
			m.reloads.WithLabelValues("failed").Inc()
			log.Error("TURN certificate not reloaded, the old one stays in use", "error", err)
		case changed:
			m.reloads.WithLabelValues("ok").Inc()
			log.Info("TURN certificate reloaded", "expires", c.current.Load().Leaf.NotAfter)
		}
	}
}

// selfSigned makes a P-256 certificate for host, localhost and the loopback addresses.
func selfSigned(host string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Parley TURN, self-signed"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(selfSignedLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "" && host != "localhost" {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// Certificate returns the TLS certificate in use, nil without TLS.
func (s *Server) Certificate() *x509.Certificate {
	if s.certificate == nil {
		return nil
	}
	return s.certificate.current.Load().Leaf
}

// SPKI returns base64(SHA-256(SubjectPublicKeyInfo)) of the certificate in use,
// as Chromium's --ignore-certificate-errors-spki-list takes it; "" without TLS.
func (s *Server) SPKI() string {
	leaf := s.Certificate()
	if leaf == nil {
		return ""
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
