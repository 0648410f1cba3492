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

// Log is what a server stands on.
type Log interface {
	eventlog.Log
	eventlog.Curator
}

// Config says what a server serves, and how.
type Config struct {
	Log Log
	// Insecure serves everybody everything. Without it there have to be Accounts, and
	// callers show login and password, which only belong on connections over TLS, or
	// come with a certificate that names one (WithUsers).
	Insecure  bool
	Accounts  []Account
	Clock     func() time.Time // nil: the wall clock
	Logger    *slog.Logger     // nil: none
	MaxAppend int              // most bytes of data in one append; 0: 1 MiB
	MaxCalls  int              // most calls that are open at once, half of them of one caller; 0: 20,000
	// Memory is most bytes that the server holds for clients: calls that are open, events
	// that wait to be read or handled, appends that are not complete. 0 is no bound.
	Memory int64
	// Members lists who belongs to the cluster of the log, for clients that look for its
	// leader. nil: this node alone, which leads.
	Members func(context.Context) ([]Member, error)
	// Leadership tells which node appends, deletions and persistent subscriptions are for.
	// nil: this one, always.
	Leadership eventlog.Leadership
	// Calls is how the leader is called over TLS; nil: by what the system trusts.
	Calls *tls.Config
	// Admit is asked about every event that a client appends, in the form it
	// will have in the log; its error refuses the append. nil admits everything.
	Admit func(stream domain.StreamID, event *eventlog.Proposed) error
}

// The bounds of what a client can make a server hold.
const (
	defaultMaxAppend = 1 << 20
	maxMessage       = 17 << 20 // bytes of one message, as clients allow themselves
	defaultMaxCalls  = 20_000
	maxStreams       = 10_000 // concurrent calls of one connection
	lockStripes      = 256

	// What is on its way on a call, and on a connection. Windows that follow the
	// connection's speed cost a ping, and its answer, with nearly every append.
	streamWindow = 256 << 10
	connWindow   = 1 << 20
)

// Server is a node of EventStoreDB as far as clients can tell.
type Server struct {
	log      Log
	config   Config
	clock    func() time.Time
	logger   *slog.Logger
	grpc     *grpc.Server
	methods  []*serverfeatures.SupportedMethod
	accounts []account
	places   *places
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

// New makes a server of a log, which stays the caller's to close after Close.
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
		id: uuid.New(), started: config.Clock(), seed: maphash.MakeSeed(), index: newIndex(), accounts: accountsOf(config.Accounts), places: newPlaces(config.MaxCalls), memory: newMemory(config.Memory),
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

// beginGroups starts the persistent subscriptions, or waits for this node to lead.
func (s *Server) beginGroups(ctx context.Context) error {
	if s.config.Leadership == nil {
		return s.groups.load(ctx, 0)
	}
	s.tasks.Go(func() { s.groups.lead(ctx) })
	return nil
}

// Serve takes connections that speak HTTP/2 with prior knowledge, until Close.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Close ends every call, as unavailable, and waits for what the server started.
func (s *Server) Close() {
	s.stop()
	s.grpc.Stop()
	s.toLeader.close()
	s.tasks.Wait()
}

// lock is what a deletion of a stream excludes appends with.
func (s *Server) lock(name string) *sync.RWMutex { return &s.locks[s.stripe(name)] }

func (s *Server) stripe(name string) int {
	for isMeta(name) {
		name = original(name)
	}
	return int(maphash.String(s.seed, name) % lockStripes)
}

// share locks streams for appends, all of them in one order, which is what keeps calls
// from waiting for each other.
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
