package esdbserver

import (
	"context"
	"crypto/tls"
	"hash/maphash"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Log is the log that a server serves.
type Log interface {
	eventlog.Log
	eventlog.Curator
}

// Config configures a server.
type Config struct {
	Log Log
	// Insecure allows every caller everything. Otherwise Accounts are required, and a caller
	// sends login and password, which should be over TLS, or has a certificate with a
	// login (WithUsers).
	Insecure  bool
	Accounts  []Account
	Clock     func() time.Time // nil: the wall clock
	Logger    *slog.Logger     // nil: none
	MaxAppend int              // limit of bytes of data in one append; 0: 1 MiB
	MaxCalls  int              // limit of open calls, and at half of it of one caller's; 0: 20,000
	// Memory limits the bytes that the server holds for clients: open calls, events that
	// wait to be read or handled, and incomplete appends. 0: no limit.
	Memory int64
	// Members lists the nodes of the cluster, for clients that look for the leader. nil:
	// this node alone, which leads.
	Members func(context.Context) ([]Member, error)
	// Leadership tells which node handles appends, deletions and persistent subscriptions.
	// nil: always this one.
	Leadership eventlog.Leadership
	// Calls is the TLS configuration for calls to the leader; nil: the system's roots.
	Calls *tls.Config
	// Admit is called with every event that a client appends, in the log's form. An error
	// refuses the append. nil admits all.
	Admit func(stream domain.StreamID, event *eventlog.Proposed) error
}

// The bounds of messages and calls.
const (
	defaultMaxAppend = 1 << 20
	maxMessage       = 17 << 20 // bytes of one message, the bound of clients
	defaultMaxCalls  = 20_000
	maxStreams       = 10_000 // concurrent calls of one connection
	lockStripes      = 256

	// The flow-control windows of a call and of a connection, in bytes. Dynamic windows would
	// cost a ping and its answer with nearly every append.
	streamWindow = 256 << 10
	connWindow   = 1 << 20
)

// Server serves the protocol.
type Server struct {
	log      Log
	config   Config
	clock    func() time.Time
	logger   *slog.Logger
	grpc     *grpc.Server
	methods  []*serverfeatures.SupportedMethod
	accounts []account
	limiter  *callLimiter
	memory   *memory
	id       uuid.UUID
	started  time.Time

	seed  maphash.Seed
	locks [lockStripes]sync.RWMutex

	index    *index
	groups   *groups
	toLeader leaderConn
	running  context.Context // ends with Close
	stop     context.CancelFunc
	tasks    sync.WaitGroup
}

// New returns a server of a log. The caller closes the log after Close.
func New(config Config) (*Server, error) {
	if config.Log == nil {
		return nil, domain.Errorf(domain.Invalid, "EventStoreDB protocol: want a log that keeps stream metadata")
	}
	if !config.Insecure && len(config.Accounts) == 0 {
		return nil, domain.Errorf(domain.Invalid, "EventStoreDB protocol: want accounts, or it asked for as insecure")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.MaxAppend == 0 {
		config.MaxAppend = defaultMaxAppend
	}
	if config.MaxCalls == 0 {
		config.MaxCalls = defaultMaxCalls
	}
	s := &Server{
		log: config.Log, config: config, clock: config.Clock, logger: config.Logger,
		id: uuid.New(), started: config.Clock(), seed: maphash.MakeSeed(), index: newIndex(), accounts: accountsOf(config.Accounts), limiter: newCallLimiter(config.MaxCalls), memory: newMemory(config.Memory),
	}
	s.toLeader.calls = config.Calls
	s.running, s.stop = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(newEventCodec()), grpc.Creds(connections{}),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(s.unary), grpc.ChainStreamInterceptor(s.stream),
	)
	streams.RegisterStreamsServer(s.grpc, &streamsService{server: s})
	serverfeatures.RegisterServerFeaturesServer(s.grpc, &featuresService{server: s})
	s.groups = newGroups(s)
	persistent.RegisterPersistentSubscriptionsServer(s.grpc, &groupsService{server: s})
	gossip.RegisterGossipServer(s.grpc, &gossipService{server: s})
	s.methods = methodsOf(s.grpc.GetServiceInfo())
	for _, prepare := range []func(context.Context) error{s.ensureUsers, s.beginGroups} {
		if err := prepare(s.running); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// beginGroups starts the persistent subscriptions, or lead, which does when this node
// leads.
func (s *Server) beginGroups(ctx context.Context) error {
	if s.config.Leadership == nil {
		return s.groups.load(ctx, 0)
	}
	s.tasks.Go(func() { s.groups.lead(ctx) })
	return nil
}

// Serve serves connections that use HTTP/2 with prior knowledge, until Close.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Close ends every call as unavailable, and waits for the server's goroutines.
func (s *Server) Close() {
	s.stop()
	s.grpc.Stop()
	s.toLeader.close()
	s.tasks.Wait()
}

// lock returns the lock of a stream, by which a deletion excludes appends.
func (s *Server) lock(name string) *sync.RWMutex { return &s.locks[s.stripe(name)] }

func (s *Server) stripe(name string) int {
	for isMeta(name) {
		name = original(name)
	}
	return int(maphash.String(s.seed, name) % lockStripes)
}

// share locks streams for appends. All calls lock in the same order, which prevents
// deadlocks.
func (s *Server) share(names []string) (unlock func()) {
	stripes := make([]int, len(names))
	for i, name := range names {
		stripes[i] = s.stripe(name)
	}
	slices.Sort(stripes)
	stripes = slices.Compact(stripes)
	for _, stripe := range stripes {
		s.locks[stripe].RLock()
	}
	return func() {
		for _, stripe := range stripes {
			s.locks[stripe].RUnlock()
		}
	}
}
