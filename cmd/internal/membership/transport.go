package membership

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/domain"
	wire "github.com/ringrift/rift/transport/swim"
)

// The bounds of packets and streams in transit.
const (
	maxSending   = 256 // packets, to all members together
	maxReceived  = 256 // packets that the library has not taken yet
	packetWithin = 5 * time.Second
)

// link is the transport of memberlist over HTTP.
type link struct {
	own     *url.URL // the URL of this node for others
	cluster string   // the label that packets of the cluster have
	ip      net.IP
	port    int
	client  *http.Client
	tls     *tls.Config // for streams to members that serve TLS
	packets chan *memberlist.Packet
	streams chan net.Conn

	mu      sync.Mutex
	urls    map[string]*url.URL // of members, by name
	seeds   map[string]*url.URL // of addresses that are to be joined, by host:port
	sending chan struct{}
	notes   sync.WaitGroup
	ending  context.Context
	end     context.CancelFunc

	sent, failed, dropped, received, refused, opened atomic.Uint64
}

func newLink(cluster string, own *url.URL, ip net.IP, port int) *link {
	l := &link{
		own: own, cluster: cluster, ip: ip, port: port, packets: make(chan *memberlist.Packet, maxReceived), streams: make(chan net.Conn),
		urls: map[string]*url.URL{}, seeds: map[string]*url.URL{}, sending: make(chan struct{}, maxSending),
		client: &http.Client{Timeout: packetWithin, Transport: &http.Transport{
			MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, ResponseHeaderTimeout: packetWithin,
		}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	l.ending, l.end = context.WithCancel(context.Background())
	return l
}

// trust sets the TLS configuration for calls to members that serve TLS.
func (l *link) trust(calls *tls.Config) {
	if calls != nil {
		l.tls = calls
		l.client.Transport.(*http.Transport).TLSClientConfig = calls.Clone()
	}
}

// FinalAdvertiseAddr returns the IP address and the port of this node for others.
func (l *link) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return l.ip, l.port, nil }

// PacketCh returns the channel of received packets.
func (l *link) PacketCh() <-chan *memberlist.Packet { return l.packets }

// StreamCh returns the channel of connections that members opened.
func (l *link) StreamCh() <-chan net.Conn { return l.streams }

// WriteTo sends a packet.
func (l *link) WriteTo(b []byte, address string) (time.Time, error) {
	return l.WriteToAddress(b, memberlist.Address{Addr: address})
}

// DialTimeout opens a stream.
func (l *link) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	return l.DialAddressTimeout(memberlist.Address{Addr: address}, timeout)
}

// Shutdown ends what is being sent and received.
func (l *link) Shutdown() error {
	l.mu.Lock()
	l.end()
	l.mu.Unlock()
	l.notes.Wait()
	l.client.CloseIdleConnections()
	return nil
}

// know stores the address in a member's metadata.
func (l *link) know(name string, address *url.URL) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.urls[name] = address
}

// forget drops the address of a member.
func (l *link) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.urls, name)
}

// seed stores the URL of an address that is to be joined.
func (l *link) seed(hostport string, address *url.URL) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seeds[hostport] = address
}

// urlOf returns the URL of a member.
func (l *link) urlOf(a memberlist.Address) *url.URL {
	l.mu.Lock()
	defer l.mu.Unlock()
	if address := l.urls[a.Name]; a.Name != "" && address != nil {
		return address
	}
	if address := l.seeds[a.Addr]; address != nil {
		return address
	}
	return &url.URL{Scheme: l.own.Scheme, Host: a.Addr}
}

// WriteToAddress sends a packet in the background and does not wait for its delivery. When
// maxSending packets are in transit, it drops the packet, as a network may.
func (l *link) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	now := time.Now()
	select {
	case l.sending <- struct{}{}:
	default:
		l.dropped.Add(1)
		return now, nil
	}
	body := bytes.Clone(b)
	target := l.urlOf(a).JoinPath("/swim/packet")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending.Err() != nil { // Shutdown waits only for what was begun before
		<-l.sending
		return now, l.ending.Err()
	}
	l.notes.Go(func() {
		defer func() { <-l.sending }()
		if err := l.post(target, body); err != nil {
			l.failed.Add(1)
			return
		}
		l.sent.Add(1)
	})
	return now, nil
}

func (l *link) post(target *url.URL, body []byte) error {
	request, err := http.NewRequestWithContext(l.ending, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", wire.PacketType)
	request.Header.Set(wire.FromHeader, net.JoinHostPort(l.ip.String(), strconv.Itoa(l.port)))
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4<<10)) // so that the connection can be used again
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNoContent && response.StatusCode != http.StatusOK {
		return domain.Errorf(domain.Unavailable, "%s: want 204, found %d", target, response.StatusCode)
	}
	return nil
}

// DialAddressTimeout opens a stream: a connection that a request is upgraded to.
func (l *link) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ending, timeout)
	defer cancel()
	target := l.urlOf(a).JoinPath("/swim/stream")
	host := target.Host
	if target.Port() == "" {
		host = net.JoinHostPort(target.Hostname(), map[string]string{"http": "80", "https": "443"}[target.Scheme])
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if target.Scheme == "https" {
		config := l.tls.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		config.ServerName, config.NextProtos = target.Hostname(), []string{"http/1.1"}
		conn = tls.Client(conn, config)
	}
	upgraded, err := upgrade(ctx, conn, target)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return upgraded, nil
}

func upgrade(ctx context.Context, conn net.Conn, target *url.URL) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", wire.Protocol)
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, errors.Join(domain.Errorf(domain.Unavailable, "%s: want 101, found %d", target, response.StatusCode), response.Body.Close())
	}
	return &wire.Upgraded{Conn: conn, Reader: reader}, conn.SetDeadline(time.Time{})
}

// took passes a received packet to the library.
func (l *link) took(from string, packet []byte) error {
	parsed, err := netip.ParseAddrPort(from)
	if err != nil {
		l.refused.Add(1)
		return domain.Faulty("request", []domain.Fault{{Field: wire.FromHeader, Reason: "want host:port"}})
	}
	// The library checks the label too, but reports a wrong one only in its log.
	_, label, err := memberlist.RemoveLabelHeaderFromPacket(packet)
	switch {
	case err != nil:
		l.refused.Add(1)
		return domain.Errorf(domain.Invalid, "packet: %w", err)
	case label != l.cluster:
		l.refused.Add(1)
		return domain.Errorf(domain.Forbidden, "packet: want one of the cluster %q, found %q", l.cluster, domain.Clip(label, 64))
	}
	select {
	case l.packets <- &memberlist.Packet{Buf: packet, From: net.TCPAddrFromAddrPort(parsed), Timestamp: time.Now()}:
		l.received.Add(1)
		return nil
	default:
		l.dropped.Add(1)
		return domain.Errorf(domain.TooMany, "want at most %d packets that wait", maxReceived)
	}
}

// streamed passes a connection that a member opened to the library.
func (l *link) streamed(conn net.Conn) error {
	timer := time.NewTimer(packetWithin)
	defer timer.Stop()
	select {
	case l.streams <- conn:
		l.opened.Add(1)
		return nil
	case <-l.ending.Done():
	case <-timer.C:
	}
	l.dropped.Add(1)
	return domain.Errorf(domain.Unavailable, "this node takes no streams now")
}
