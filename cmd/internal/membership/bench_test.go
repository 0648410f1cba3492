package membership_test

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/domain/swim"
)

// group are members in one process with memberlist's settings for a LAN, over HTTP or over
// memberlist's own transport.
type group struct {
	kill func() // kills the last member
	dead func() int
	stop func()
}

// ours starts members over HTTP that lose a share of the received packets.
func ours(b *testing.B, count int, loss float64) group {
	b.Helper()
	var boxes []*box
	for i := range count {
		one := newBox(b, fmt.Sprint("node-", i))
		served := one.server.Config.Handler
		one.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && rand.Float64() < loss {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			served.ServeHTTP(w, r)
		})
		config := membership.Config{Tune: func(*memberlist.Config) {}}
		if i > 0 {
			config.Join = []string{boxes[0].server.URL}
		}
		boxes = append(boxes, one.start(b, config))
	}
	await(b, "everybody alive everywhere", func() bool {
		for _, one := range boxes {
			if one.count(b, swim.SwimAlive) != count {
				return false
			}
		}
		return true
	})
	last := boxes[count-1]
	return group{
		kill: func() {
			last.deaf.Store(true)
			if err := last.Kill(); err != nil {
				b.Error(err)
			}
		},
		dead: func() (deaths int) {
			for _, one := range boxes {
				deaths += one.count(b, swim.SwimDead)
			}
			return deaths
		},
		stop: func() {
			for _, one := range boxes { // what all other members send when they leave is not measured
				if err := one.Kill(); err != nil {
					b.Error(err)
				}
			}
			for _, one := range boxes {
				one.stop()
				one.server.CloseClientConnections()
				one.server.Close()
			}
		},
	}
}

// lossy is memberlist's transport over UDP and TCP, which loses a share of the packets.
type lossy struct {
	memberlist.NodeAwareTransport
	loss float64
}

func (l lossy) WriteTo(p []byte, to string) (time.Time, error) {
	return l.WriteToAddress(p, memberlist.Address{Addr: to})
}

func (l lossy) WriteToAddress(p []byte, to memberlist.Address) (time.Time, error) {
	if rand.Float64() < l.loss {
		return time.Now(), nil
	}
	return l.NodeAwareTransport.WriteToAddress(p, to)
}

// deaths counts the members that one member has seen leave.
type deaths struct{ seen atomic.Int64 }

func (*deaths) NotifyJoin(*memberlist.Node)    {}
func (*deaths) NotifyUpdate(*memberlist.Node)  {}
func (d *deaths) NotifyLeave(*memberlist.Node) { d.seen.Add(1) }

// theirs starts members with memberlist's own transport.
func theirs(b *testing.B, count int, loss float64) group {
	b.Helper()
	var lists []*memberlist.Memberlist
	var seen deaths
	for i := range count {
		config := memberlist.DefaultLANConfig()
		config.Name, config.Logger, config.Events = fmt.Sprint("node-", i), log.New(io.Discard, "", 0), &seen
		config.BindAddr, config.AdvertiseAddr = "127.0.0.1", "127.0.0.1"
		net, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{"127.0.0.1"}, Logger: config.Logger})
		if err != nil {
			b.Fatal(err)
		}
		config.BindPort = net.GetAutoBindPort()
		config.AdvertisePort = config.BindPort
		config.Transport = lossy{net, loss}
		list, err := memberlist.Create(config)
		if err != nil {
			b.Fatal(err)
		}
		lists = append(lists, list)
		if i > 0 {
			if _, err := list.Join([]string{lists[0].LocalNode().Address()}); err != nil {
				b.Fatal(err)
			}
		}
	}
	await(b, "everybody alive everywhere", func() bool {
		for _, list := range lists {
			if list.NumMembers() != count {
				return false
			}
		}
		return true
	})
	return group{
		kill: func() {
			if err := lists[count-1].Shutdown(); err != nil {
				b.Error(err)
			}
		},
		dead: func() int { return int(seen.seen.Load()) },
		stop: func() {
			for _, list := range lists {
				if err := list.Shutdown(); err != nil {
					b.Error(err)
				}
			}
		},
	}
}

// Measures how long it takes until all members have noticed a death, over HTTP and over
// memberlist's own transport with the same settings, in turn.
func BenchmarkEverybodySeesADeath(b *testing.B) {
	for _, count := range []int{16, 64} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			var took [2]time.Duration
			for range b.N {
				for i, make := range []func(*testing.B, int, float64) group{ours, theirs} {
					g := make(b, count, 0)
					began := time.Now()
					g.kill()
					await(b, "all see it", func() bool { return g.dead() >= count-1 })
					took[i] += time.Since(began)
					g.stop()
				}
			}
			b.ReportMetric(took[0].Seconds()/float64(b.N), "s-ours")
			b.ReportMetric(took[1].Seconds()/float64(b.N), "s-memberlist")
			b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "ratio")
		})
	}
}

// Counts the live members that are declared dead within a minute when one packet of twenty
// is lost, over each transport.
func BenchmarkFalseDeaths(b *testing.B) {
	for _, count := range []int{16, 64} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			var called [2]int
			for range b.N {
				for i, make := range []func(*testing.B, int, float64) group{ours, theirs} {
					g := make(b, count, 0.05)
					over := time.Now().Add(time.Minute)
					most := 0
					for time.Now().Before(over) {
						most = max(most, g.dead())
						<-time.After(100 * time.Millisecond)
					}
					called[i] += most
					g.stop()
				}
			}
			b.ReportMetric(float64(called[0])/float64(b.N), "deaths/min-ours")
			b.ReportMetric(float64(called[1])/float64(b.N), "deaths/min-memberlist")
		})
	}
}
