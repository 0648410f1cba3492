//go:build !race

// The runtime of the race detector crashes now and then when a timer of a bubble of
// testing/synctest fires (Go 1.26).

package membership_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/swim"
)

var (
	calm     = flag.Duration("membership.calm", 2*time.Minute, "virtual time in which packets are lost and nobody may be called dead")
	together = flag.Int("membership.members", 16, "members in virtual time")
)

// air is a network in virtual time. It loses some packets, and all packets between hosts
// that are cut off from each other.
type air struct {
	mu     sync.Mutex
	random *rand.Rand
	loss   float64
	ports  map[string]*port // by host:port
	cut    map[string]bool  // hosts that are cut off in both directions
}

// port is the address of a member.
type port struct {
	air     *air
	ip      net.IP
	address string
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func (a *air) port(i int) *port {
	p := &port{air: a, ip: net.IPv4(10, 0, 0, byte(i+1)), packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn), done: make(chan struct{})}
	p.address = net.JoinHostPort(p.ip.String(), "80")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ports[p.address] = p
	return p
}

// to returns the member at an address; nil if a packet does not get through.
func (p *port) to(address string, loses bool) *port {
	a := p.air
	a.mu.Lock()
	defer a.mu.Unlock()
	other := a.ports[address]
	if other == nil || a.cut[p.address] || a.cut[address] || loses && a.random.Float64() < a.loss {
		return nil
	}
	return other
}

func (p *port) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return p.ip, 80, nil }

func (p *port) WriteTo(b []byte, address string) (time.Time, error) {
	now := time.Now()
	if other := p.to(address, true); other != nil {
		packet := &memberlist.Packet{Buf: append([]byte{}, b...), From: &net.UDPAddr{IP: p.ip, Port: 80}}
		time.AfterFunc(time.Millisecond, func() {
			packet.Timestamp = time.Now()
			select {
			case other.packets <- packet:
			case <-other.done:
			}
		})
	}
	return now, nil
}

func (p *port) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return p.WriteTo(b, a.Addr)
}

func (p *port) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	if other := p.to(address, false); other != nil {
		mine, theirs := net.Pipe()
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case other.streams <- theirs:
			return mine, nil
		case <-other.done:
		case <-timer.C:
		}
	}
	return nil, domain.Errorf(domain.Unavailable, "nobody answers at %s", address)
}

func (p *port) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return p.DialTimeout(a.Addr, timeout)
}

func (p *port) PacketCh() <-chan *memberlist.Packet { return p.packets }
func (p *port) StreamCh() <-chan net.Conn           { return p.streams }

func (p *port) Shutdown() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// With the library's own times and one packet of twenty lost, no live member is declared
// dead, all members notice a death within 40 seconds, and members that were cut off are
// alive for all after one or two full exchanges of state. The library makes such exchanges
// rarer above 32 members.
func TestMembersInVirtualTime(t *testing.T) {
	count := *together
	exchange := time.Minute
	for n := 32; n < count; n *= 2 {
		exchange += time.Minute
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &air{random: rand.New(rand.NewPCG(seed, 1)), loss: 0.05, ports: map[string]*port{}, cut: map[string]bool{}}
				var members []*membership.Member
				var ports []*port
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				defer func() {
					stop()
					running.Wait()
					<-time.After(time.Minute) // probes of the library last longer than the test
				}()
				for i := range count {
					p := a.port(i)
					m, err := membership.New(membership.Config{
						Node: domain.NodeID(fmt.Sprint("node-", i)), Cluster: "main", Address: "http://" + p.address, Join: []string{"http://10.0.0.1:80", "http://10.0.0.2:80"},
						Tune: func(c *memberlist.Config) { c.Transport = p },
					})
					if err != nil {
						t.Fatal(err)
					}
					members, ports = append(members, m), append(ports, p)
					running.Go(func() {
						if err := m.Run(ctx); err != nil {
							t.Error(err)
						}
					})
				}
				// thought returns the live members for which member of is in a state.
				thought := func(gone map[int]bool, of int, state swim.State) (by []int) {
					for i, m := range members {
						rows, err := m.Members(ctx)
						if err != nil {
							t.Fatal(err)
						}
						for _, row := range rows.Members {
							if !gone[i] && i != of && row.NodeID == domain.NodeID(fmt.Sprint("node-", of)) && row.State == state {
								by = append(by, i)
							}
						}
					}
					return by
				}
				within := func(d time.Duration, what string, holds func() bool) {
					t.Helper()
					began := time.Now()
					for !holds() {
						if time.Since(began) > d {
							t.Fatalf("want %s within %v", what, d)
						}
						<-time.After(time.Second)
					}
					t.Logf("%s after %v", what, time.Since(began))
				}
				everybody := func(gone map[int]bool) func() bool {
					return func() bool {
						for i := range members {
							if !gone[i] && len(thought(gone, i, swim.SwimAlive)) < count-len(gone)-1 {
								return false
							}
						}
						return true
					}
				}
				within(exchange, "everybody alive", everybody(nil))
				for began := time.Now(); time.Since(began) < *calm; <-time.After(time.Second) {
					for i, m := range members {
						rows, err := m.Members(ctx)
						if err != nil {
							t.Fatal(err)
						}
						for _, row := range rows.Members {
							if row.State == swim.SwimDead {
								t.Fatalf("%s is there, and dead to node-%d after %v", row.NodeID, i, time.Since(began))
							}
						}
					}
				}
				a.mu.Lock()
				for _, i := range []int{1, 5, 6} {
					a.cut[ports[i].address] = true
				}
				a.mu.Unlock()
				gone := map[int]bool{1: true, 5: true, 6: true}
				within(40*time.Second, "all see three who are cut off", func() bool {
					for i := range gone {
						if len(thought(gone, i, swim.SwimDead)) < count-len(gone) {
							return false
						}
					}
					return true
				})
				a.mu.Lock()
				clear(a.cut)
				a.mu.Unlock()
				within(exchange*3/2, "everybody alive again", everybody(nil))
			})
		})
	}
}
