package config

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ringrift/rift/domain"
)

// Serve holds the settings of a node.
type Serve struct {
	Data         string        `key:"data" default:"data" usage:"folder of the log and the read models"`
	Listen       string        `key:"listen" default:"127.0.0.1:8770" usage:"address to serve on; port 0 picks a free one"`
	Join         string        `key:"join" usage:"address of a node of the cluster that this node is to be added to, as one that follows; a node that was added before goes on"`
	JoinToken    string        `key:"join_token_file" usage:"file of the token, made by rift cluster token, that lets this node join; used until it was added"`
	AddrFile     string        `key:"addr_file" usage:"file to write the bound address to once ready"`
	Log          string        `key:"log" usage:"connection string of an EventStoreDB that has the log, such as esdb://host:2113; none: the embedded log"`
	ReadOnly     bool          `key:"read_only" usage:"show the log as it is: no command is taken, nothing reacts to its events, no deadline is decided"`
	Rebuild      bool          `key:"rebuild" usage:"discard the read models and make them anew from the log"`
	NodeID       string        `key:"node_id" usage:"name of this node (default: the name of the host)"`
	Cluster      string        `key:"cluster" default:"main" usage:"name of the cluster; or the nodes that replicate the log, as NAME=URL with commas between"`
	ClusterKey   string        `key:"cluster_key" usage:"file of this node's key in a cluster, made by rift cluster init, add or join: the log is replicated among its nodes"`
	Voters       string        `key:"voters" usage:"nodes on the same EventStoreDB that elect who decides, this one among them: id=url, with commas between, the same list on each"`
	Lease        time.Duration `key:"lease" default:"3s" usage:"how long voters are bound to a leader that they do not hear from: the time without one after it dies"`
	TokenFile    string        `key:"token_file" usage:"file of the tokens that callers must show; none: everybody may call"`
	InsecureESDB bool          `key:"insecure_esdb" usage:"serve the log to EventStoreDB clients too, on the same address: whoever reaches it reads and writes everything"`
	ESDBAccounts string        `key:"esdb_accounts" usage:"file of the accounts that EventStoreDB clients show over TLS: login, password and groups, one account a line"`
	ESDBUserCA   string        `key:"esdb_user_ca" usage:"file of the authority, in PEM, whose certificates EventStoreDB clients may show in place of a login: the common name is that of the account"`
	TLSCert      string        `key:"tls_cert" usage:"file of the certificate, in PEM, to serve by TLS with; EventStoreDB clients are then served too"`
	TLSKey       string        `key:"tls_key" usage:"file of the certificate's key, in PEM"`
	ClientCA     string        `key:"client_ca" usage:"file of authorities, in PEM: callers over TLS have to show a certificate that one of them signed, and have the role of the token of its name; other nodes' certificates are checked with them too"`
	RelayHub     string        `key:"relay_hub" usage:"address of a hub that takes calls for this node, which cannot be called itself; several with commas between"`
	GossipPeers  string        `key:"gossip_peers" usage:"addresses of nodes to exchange with what nodes say of themselves, with commas between; none: the node asks nobody"`
	GossipEvery  time.Duration `key:"gossip_every" default:"2s" usage:"time between two such exchanges"`
	SwimJoin     string        `key:"swim_join" usage:"addresses of nodes to find out with who is alive, with commas between; none: the node finds out nothing, unless it has a swim_address"`
	SwimAddress  string        `key:"swim_address" usage:"address of this node, as the others call it, such as http://10.0.0.5:8770 (default: where it listens)"`
	PeerToken    string        `key:"peer_token_file" usage:"file whose first token is shown to other nodes (default: the first of token_file that may do everything)"`
	SSH          SSH           `key:"ssh"`
	MemoryLimit  Size          `key:"memory_limit" default:"0" usage:"memory to stay under, such as 1GiB: the collector's limit, and the measure of caches and of what callers can make the node hold; 0 takes nine tenths of what the control group allows, else none"`
	Limits       Limits        `key:"limits"`
	Snapshots    Snapshots     `key:"snapshots"`
	LogLevel     string        `key:"log_level" default:"info" usage:"least level that is logged: debug, info, warn or error"`
	LogFormat    string        `key:"log_format" default:"auto" usage:"form of the log lines: text, json, or auto (text on a terminal)"`
	TraceFile    string        `key:"trace_file" usage:"file to write OpenTelemetry spans to, one JSON object each; - is standard error"`
	PrintConfig  bool          `key:"print_config" usage:"print the settings with where each comes from, and stop"`

	sources map[string]string
	peers   []Peer
}

// SSH is how a node reaches the hosts of tournaments over SSH. By default it runs
// none.
type SSH struct {
	Tournaments bool   `key:"tournaments" usage:"run tournaments over SSH: whoever may command the node then runs commands on its hosts"`
	KnownHosts  string `key:"known_hosts" usage:"file of the hosts' keys, in OpenSSH's form: a host that is not in it is refused"`
	Key         string `key:"key" usage:"file of the private key shown to hosts, without a passphrase, for its owner's eyes only"`
	Agent       string `key:"agent" usage:"socket of an SSH agent that has keys for hosts"`
	User        string `key:"user" default:"rift" usage:"user on hosts that are named without one"`
}

// Limits limits what callers can make a node hold.
type Limits struct {
	BodyBytes     Size          `key:"body_bytes" default:"1MiB" usage:"largest body of a request"`
	GossipBytes   Size          `key:"gossip_bytes" default:"4MiB" usage:"largest body of a gossip exchange"`
	InFlight      int           `key:"in_flight" default:"1024" usage:"most requests served at once, of each kind: workers' reports, other commands, queries"`
	Scans         int           `key:"scans" default:"32" usage:"most requests served at once that read long stretches of the log or of the past"`
	Rate          float64       `key:"rate" default:"0" usage:"most requests a second from one caller; 0 is no bound"`
	Connections   int           `key:"connections" default:"4096" usage:"most open connections, if the limits of memory and of open files allow as many: at the bound new ones take the place of those that ask for nothing"`
	Subscribers   int           `key:"subscribers" default:"256" usage:"most open event streams"`
	AfterWait     time.Duration `key:"after_wait" default:"5s" usage:"longest wait of a query with ?after="`
	ShutdownGrace time.Duration `key:"shutdown_grace" default:"10s" usage:"time a stop may take: requests in flight have four fifths of it, or all but 2s"`
}

// Snapshots is what is kept on disk for queries of a past position.
type Snapshots struct {
	Every int  `key:"every" default:"15000" usage:"events between snapshots of the read models; -1 takes none"`
	Keep  int  `key:"keep" default:"400" usage:"most snapshots kept; older ones are thinned out"`
	Bytes Size `key:"bytes" default:"4GiB" usage:"most disk that snapshots alone take"`
}

// LeastMemory is what a node needs for its buffers, its caches and a few callers.
const LeastMemory Size = 256 << 20

// ServeFlags adds a flag per setting of a node.
func ServeFlags(flags *pflag.FlagSet) {
	addFlags(flags, settingsOf(&Serve{}))
	FileFlag(flags)
}

// LoadServe reads the settings of a node. Its error lists every fault.
func LoadServe(flags *pflag.FlagSet, getenv func(string) string) (Serve, error) {
	var serve Serve
	sources, faults, err := load(settingsOf(&serve), flags, getenv)
	if err != nil {
		return Serve{}, err
	}
	serve.sources = sources
	faults = append(faults, serve.namePeers()...)
	faults = append(faults, serve.check()...)
	return serve, domain.Faulty("settings", faults)
}

func (s Serve) check() []domain.Fault {
	var faults []domain.Fault
	fault := func(key, format string, args ...any) {
		faults = append(faults, s.fault(key, format, args...))
	}
	if s.Data == "" {
		fault("data", "want a folder")
	}
	if _, port, err := net.SplitHostPort(s.Listen); err != nil || port == "" {
		fault("listen", "want host:port, found %q", s.Listen)
	}
	if s.Log != "" {
		if scheme, _, _ := strings.Cut(s.Log, "://"); scheme != "esdb" && scheme != "esdb+discover" {
			fault("log", "want a connection string of EventStoreDB, such as esdb://host:2113, found %q", Redact(s.Log))
		}
		if s.InsecureESDB {
			fault("insecure_esdb", "want no log with it: EventStoreDB clients go to that database themselves")
		}
	}
	faults = append(faults, s.peerFaults()...)
	if s.NodeID != "" {
		if _, err := domain.ParseStreamID("node-" + s.NodeID); err != nil {
			fault("node_id", "want a name without spaces or control characters, found %q", s.NodeID)
		}
	}
	if _, err := domain.ParseStreamID("cluster-" + s.Cluster); err != nil {
		fault("cluster", "want a name without spaces or control characters, found %q", s.Cluster)
	}
	if s.SSH.Tournaments && (s.SSH.KnownHosts == "" || s.SSH.Key == "" && s.SSH.Agent == "") {
		fault("ssh.tournaments", "want ssh.known_hosts with it, and ssh.key or ssh.agent")
	}
	if s.SSH.Tournaments && s.ReadOnly {
		fault("ssh.tournaments", "want no read_only with it: results are written")
	}
	if s.InsecureESDB && s.TokenFile != "" {
		fault("insecure_esdb", "want no token_file with it: EventStoreDB clients would need no token")
	}
	if s.InsecureESDB && s.ReadOnly {
		fault("insecure_esdb", "want no read_only with it: EventStoreDB clients write")
	}
	faults = append(faults, s.voterFaults()...)
	if (s.TLSCert == "") != (s.TLSKey == "") {
		fault("tls_key", "want tls_cert and tls_key, or neither")
	}
	if s.ClientCA != "" && (s.TLSCert == "" || s.TokenFile == "") {
		fault("client_ca", "want it with tls_cert, and with token_file, whose names say what a certificate may do")
	}
	if s.ClientCA != "" && s.ESDBUserCA != "" {
		fault("client_ca", "want no esdb_user_ca with it: a connection is checked with the authorities of one of them")
	}
	if s.InsecureESDB && s.TLSCert != "" {
		fault("insecure_esdb", "want no tls_cert with it: over TLS EventStoreDB clients have accounts")
	}
	if s.ESDBUserCA != "" && (s.TLSCert == "" || s.Log != "" || s.ReadOnly) {
		fault("esdb_user_ca", "want it with tls_cert, and with neither log nor read_only")
	}
	if s.ESDBAccounts != "" && (s.TLSCert == "" || s.Log != "" || s.ReadOnly) {
		fault("esdb_accounts", "want it with tls_cert, and with neither log nor read_only")
	}
	if levels := []string{"debug", "info", "warn", "error"}; !slices.Contains(levels, s.LogLevel) {
		fault("log_level", "want %s, found %q", oneOf(levels), s.LogLevel)
	}
	if formats := []string{"auto", "text", "json"}; !slices.Contains(formats, s.LogFormat) {
		fault("log_format", "want %s, found %q", oneOf(formats), s.LogFormat)
	}
	return append(faults, s.limitFaults()...)
}

// limitFaults checks the limits of a node.
func (s Serve) limitFaults() (faults []domain.Fault) {
	fault := func(key, format string, args ...any) {
		faults = append(faults, s.fault(key, format, args...))
	}
	positive := func(key string, value int64) {
		if value <= 0 {
			fault(key, "want more than 0, found %d", value)
		}
	}
	if s.MemoryLimit != 0 && s.MemoryLimit < LeastMemory {
		fault("memory_limit", "want at least %s, or 0 for what the control group allows, found %s", LeastMemory, s.MemoryLimit)
	}
	positive("limits.body_bytes", int64(s.Limits.BodyBytes))
	positive("limits.gossip_bytes", int64(s.Limits.GossipBytes))
	positive("limits.in_flight", int64(s.Limits.InFlight))
	positive("limits.scans", int64(s.Limits.Scans))
	positive("limits.connections", int64(s.Limits.Connections))
	positive("limits.subscribers", int64(s.Limits.Subscribers))
	positive("snapshots.keep", int64(s.Snapshots.Keep))
	positive("snapshots.bytes", int64(s.Snapshots.Bytes))
	if s.Snapshots.Every == 0 || s.Snapshots.Every < -1 {
		fault("snapshots.every", "want more than 0, or -1 for none, found %d", s.Snapshots.Every)
	}
	if s.Limits.Rate < 0 {
		fault("limits.rate", "want 0 or more, found %v", s.Limits.Rate)
	}
	if s.Limits.AfterWait <= 0 {
		fault("limits.after_wait", "want more than 0s, found %s", s.Limits.AfterWait)
	}
	if s.Limits.ShutdownGrace < 0 {
		fault("limits.shutdown_grace", "want 0s or more, found %s", s.Limits.ShutdownGrace)
	}
	return faults
}

// fault returns a fault of a setting, with the source of its value.
func (s Serve) fault(key, format string, args ...any) domain.Fault {
	where := ""
	if from := s.sources[key]; from != "" && from != FromDefault {
		where = " (" + from + ")"
	}
	return domain.Fault{Field: key, Reason: fmt.Sprintf(format, args...) + where}
}

// peerFaults checks how a node reaches others.
func (s Serve) peerFaults() (faults []domain.Fault) {
	for _, list := range []struct{ key, addresses, readOnly string }{
		{"relay_hub", s.RelayHub, "want no read_only with it: nobody is to call a node that takes no commands"},
		{"gossip_peers", s.GossipPeers, "want no read_only with it: a node that shows a log hears of nobody"},
		{"swim_join", s.SwimJoin, "want no read_only with it: a node that shows a log is no member"},
		{"swim_address", s.SwimAddress, "want no read_only with it: a node that shows a log is no member"},
	} {
		faults = append(faults, addressFaults(list.key, list.addresses)...)
		if list.addresses != "" && s.ReadOnly {
			faults = append(faults, s.fault(list.key, "%s", list.readOnly))
		}
	}
	if s.GossipEvery < 10*time.Millisecond {
		faults = append(faults, s.fault("gossip_every", "want at least 10ms, found %s", s.GossipEvery))
	}
	return faults
}

// FromDefault is the Source of a setting with its default.
const FromDefault = "default"

// RelayHubs lists the hubs that accept calls for the node.
func (s Serve) RelayHubs() []string { return addressesOf(s.RelayHub) }

// Swims reports whether the node runs the failure detector.
func (s Serve) Swims() bool { return s.SwimJoin != "" || s.SwimAddress != "" }

// SwimAddresses lists the nodes to join.
func (s Serve) SwimAddresses() []string { return addressesOf(s.SwimJoin) }

// OwnAddress returns the address at which others call the node that listens on an
// address.
func (s Serve) OwnAddress(listen string) string {
	if own := addressesOf(s.SwimAddress); len(own) == 1 {
		return own[0]
	}
	if s.TLSCert != "" {
		return "https://" + listen
	}
	return "http://" + listen
}

// GossipAddresses lists the nodes to exchange state documents with.
func (s Serve) GossipAddresses() []string { return addressesOf(s.GossipPeers) }

// addressesOf splits a list of addresses.
func addressesOf(list string) []string {
	var addresses []string
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one != "" {
			if !strings.Contains(one, "://") {
				one = "http://" + one
			}
			addresses = append(addresses, strings.TrimRight(one, "/"))
		}
	}
	return addresses
}

// addressFaults checks a list of addresses.
func addressFaults(field, list string) []domain.Fault {
	var faults []domain.Fault
	addresses := addressesOf(list)
	if len(addresses) > maxAddresses {
		faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf("want at most %d addresses, found %d", maxAddresses, len(addresses))})
	}
	for _, address := range addresses[:min(len(addresses), maxAddresses)] {
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf("want a URL such as http://10.0.0.5:8770, or several with commas between, found %q", Redact(address))})
		}
	}
	return faults
}

// Source returns where a setting's value comes from: a flag, a variable, a file, or
// FromDefault.
func (s Serve) Source(key string) string { return s.sources[key] }

// Print writes the settings as YAML that --config accepts, with the source of each
// and without secrets.
func (s Serve) Print(w io.Writer) error {
	settings := settingsOf(&s)
	settings = slices.DeleteFunc(settings, func(one setting) bool { return one.key == "print_config" }) // the printed settings are for a node that serves
	return printYAML(w, settings, s.sources)
}

// Client is how a command reaches a node.
type Client struct {
	Addr      string        `key:"addr" default:"http://127.0.0.1:8770" usage:"address of the node to ask; several with commas between: the next one is asked when one does not answer"`
	TokenFile string        `key:"token_file" usage:"file whose first token is shown to the node"`
	CA        string        `key:"ca" usage:"file of authorities, in PEM, that nodes' certificates are checked with (default: the system's)"`
	Cert      string        `key:"client_cert" usage:"file of the certificate, in PEM, to show to the node"`
	Key       string        `key:"client_key" usage:"file of the certificate's key, in PEM"`
	Actor     string        `key:"actor" usage:"who asks, for the log: a person or a tool (default: the user's name); a node that wants tokens goes by the token"`
	Timeout   time.Duration `key:"timeout" default:"30s" usage:"longest wait for an answer"`

	named bool
}

// Named reports whether a flag, a variable or a file names the nodes to ask.
func (c Client) Named() bool { return c.named }

// Addresses lists the nodes in the order in which they are tried.
func (c Client) Addresses() []string { return strings.Split(c.Addr, ",") }

// maxAddresses limits the nodes of a client.
const maxAddresses = 64

// ClientFlags adds a flag per setting of a client.
func ClientFlags(flags *pflag.FlagSet) {
	addFlags(flags, settingsOf(&Client{}))
	FileFlag(flags)
}

// LoadClient reads the settings of a client. An address without a scheme is http.
func LoadClient(flags *pflag.FlagSet, getenv func(string) string) (Client, error) {
	var client Client
	sources, faults, err := load(settingsOf(&client), flags, getenv)
	if err != nil {
		return Client{}, err
	}
	client.named = sources["addr"] != FromDefault
	addresses := client.Addresses()
	if len(addresses) > maxAddresses {
		faults = append(faults, domain.Fault{Field: "addr", Reason: fmt.Sprintf("want at most %d addresses, found %d", maxAddresses, len(addresses))})
	}
	for i, address := range addresses {
		if address = strings.TrimSpace(address); address == "" {
			faults = append(faults, domain.Fault{Field: "addr", Reason: fmt.Sprintf("want an address between two commas, found %q", Redact(client.Addr))})
			continue
		}
		if !strings.Contains(address, "://") {
			address = "http://" + address
		}
		addresses[i] = strings.TrimRight(address, "/")
		if u, err := url.Parse(addresses[i]); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, domain.Fault{Field: "addr", Reason: fmt.Sprintf("want a URL such as http://127.0.0.1:8770, or several with commas between, found %q", Redact(addresses[i]))})
		}
	}
	client.Addr = strings.Join(addresses, ",")
	if (client.Cert == "") != (client.Key == "") {
		faults = append(faults, domain.Fault{Field: "client_key", Reason: "want client_cert and client_key, or neither"})
	}
	if client.Timeout <= 0 {
		faults = append(faults, domain.Fault{Field: "timeout", Reason: fmt.Sprintf("want more than 0s, found %s", client.Timeout)})
	}
	return client, domain.Faulty("settings", faults)
}

func oneOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
