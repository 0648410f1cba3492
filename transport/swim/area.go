// Package swim registers the area of the failure detector: its events from recorded
// clusters, and the endpoints through which the members of this one detect
// failures. It detects nothing itself.
//
// Read Member for what the process has to provide.
package swim

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

// Member is the membership that the process provides to the endpoints.
type Member interface {
	Status(ctx context.Context) (Status, error)
	Members(ctx context.Context) (Members, error)
	// Packet handles a packet of the member at an address, host:port.
	Packet(from string, packet []byte) error
	// Stream handles a connection that a member opened.
	Stream(conn net.Conn) error
}

// Status is the answer of GET /swim/status.
type Status struct {
	Enabled    bool          `json:"enabled" doc:"--swim-join"`
	NodeID     domain.NodeID `json:"node_id,omitempty"`
	Address    string        `json:"address,omitempty" doc:"that the others call"`
	Encrypted  bool          `json:"encrypted,omitempty"`
	Health     int           `json:"health_score" doc:"0: well; more: it answers late, and is more patient with others"`
	Alive      int           `json:"alive" doc:"members, this node among them"`
	Suspect    int           `json:"suspect"`
	Dead       int           `json:"dead"`
	Left       int           `json:"left"`
	Probes     Probes        `json:"probes"`
	Suspicions uint64        `json:"suspicions" doc:"of others, by this node's own probes"`
	Refuted    uint64        `json:"refuted" doc:"times that this node refuted a suspicion or a death of itself"`
	Joins      Joins         `json:"joins"`
	Packets    Packets       `json:"packets"`
}

// Probes counts the probes sent by this node.
type Probes struct {
	Answered uint64   `json:"answered"`
	LastRTT  *float64 `json:"last_rtt_ms"`
	MeanRTT  *float64 `json:"mean_rtt_ms" doc:"of the last 64 or so"`
}

// Joins counts the attempts to join the other members.
type Joins struct {
	Tries     uint64    `json:"tries"`
	Failed    uint64    `json:"failed"`
	LastError string    `json:"last_error,omitempty"`
	LastAt    time.Time `json:"last_at,omitzero"`
}

// Packets counts sent and received packets.
type Packets struct {
	Sent     uint64 `json:"sent"`
	Failed   uint64 `json:"failed" doc:"to send"`
	Dropped  uint64 `json:"dropped" doc:"for want of room, on either way"`
	Received uint64 `json:"received"`
	Refused  uint64 `json:"refused,omitempty" doc:"packets and streams of other clusters, without the key, or that are none"`
	Streams  uint64 `json:"streams" doc:"opened by others"`
}

// Members is the answer of GET /swim/members.
type Members struct {
	Enabled bool  `json:"enabled"`
	Members []Row `json:"members" doc:"by node"`
}

// Row is the state of a member as this node sees it.
type Row struct {
	NodeID    domain.NodeID `json:"node_id"`
	State     swim.State    `json:"state"`
	Since     time.Time     `json:"since"`
	Address   string        `json:"address"`
	RTT       *float64      `json:"rtt_ms" doc:"of the last probe that it answered; null: none so far"`
	Answered  *time.Time    `json:"last_answered" doc:"a probe of this node"`
	Heard     bool          `json:"heard" doc:"it gave a sign of life, in any way, since its state: alive, though it is thought dead"`
	Suspected uint64        `json:"suspected" doc:"times, by this node"`
	Self      bool          `json:"self,omitempty"`
}

// maxPacket limits a packet; those of the failure detector are far shorter.
const maxPacket = 64 << 10

// Headers of packets and streams.
const (
	FromHeader = "Rift-Swim-From" // host:port of the sending member
	PacketType = "application/vnd.rift.swim"
	Protocol   = "rift-swim" // the protocol that a stream upgrades to
)

// Area returns what this area adds to a process. Packets and streams are sent to
// addresses that other members announced, so they carry no token; they are
// encrypted with a key of the cluster.
func Area() transport.Area {
	return transport.Area{
		Name:   "swim",
		Events: swim.Events(),
		Routes: []transport.Route{
			transport.Tell("/swim/status", "swim.status", func(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (status Status, at domain.Position, err error) {
				if member, lent := transport.LentBy[Member](b); lent == nil {
					status, err = member.Status(ctx)
				}
				return status, at, err
			}, transport.About("how the failure detector does: its own health, probes, suspicions, joins")),
			transport.Tell("/swim/members", "swim.members", func(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (members Members, at domain.Position, err error) {
				members.Members = []Row{}
				if member, lent := transport.LentBy[Member](b); lent == nil {
					members, err = member.Members(ctx)
				}
				return members, at, err
			}, transport.About("who is alive in the eyes of this node, since when, and how far away")),
			transport.Raw[struct{}](http.MethodPost, "/swim/packet", "swim.packet", packet, transport.Public(), transport.In("swim"), transport.About("a packet of the failure detector, for its peers only")),
			transport.Raw[struct{}](http.MethodGet, "/swim/stream", "swim.stream", stream, transport.Public(), transport.In("swim"), transport.About("a connection of the failure detector, for its peers only")),
		},
	}
}

// packet handles a packet. It requires a content type that a page of another site
// cannot send.
func packet(b transport.Backend, _ transport.Caller, w http.ResponseWriter, r *http.Request) error {
	member, err := transport.LentBy[Member](b)
	if err != nil {
		return err
	}
	if given := r.Header.Get("Content-Type"); given != PacketType {
		return domain.Faulty("request", []domain.Fault{{Field: "Content-Type", Reason: "want " + PacketType}})
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPacket))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return domain.Errorf(domain.TooLarge, "want a packet of at most %d bytes, found more", maxPacket)
	case err != nil:
		return domain.Errorf(domain.Invalid, "packet: %w", err)
	}
	from := r.Header.Get(FromHeader)
	if from == "" {
		from = r.RemoteAddr
	}
	if err := member.Packet(from, body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// stream hands a connection to the failure detector.
func stream(b transport.Backend, _ transport.Caller, w http.ResponseWriter, r *http.Request) error {
	member, err := transport.LentBy[Member](b)
	if err != nil {
		return err
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), Protocol) {
		return domain.Faulty("request", []domain.Fault{{Field: "Upgrade", Reason: "want " + Protocol}})
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return domain.Errorf(domain.Invalid, "want a connection of its own, by HTTP/1.1: %w", err)
	}
	_ = conn.SetDeadline(time.Now().Add(streamTime))
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+Protocol+"\r\n\r\n"); err != nil {
		_ = conn.Close()
		return nil
	}
	if err := member.Stream(&Upgraded{Conn: conn, Reader: buffered.Reader}); err != nil {
		_ = conn.Close()
	}
	return nil
}

// streamTime limits a stream that has no other deadline.
const streamTime = 30 * time.Second

// Upgraded is a connection of which some bytes have already been read.
type Upgraded struct {
	net.Conn
	Reader io.Reader
}

// Read returns the bytes already read first.
func (u *Upgraded) Read(into []byte) (int, error) { return u.Reader.Read(into) }
