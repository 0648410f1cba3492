package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/outfile"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport/raft"
)

// clusterFile is the secret file of one node or of the operator of a cluster: its
// identity, its secret, and the members that it trusts.
type clusterFile struct {
	Cluster  string           `json:"cluster_id"`
	Node     domain.NodeID    `json:"node_id,omitempty"` // empty in the operator's file
	Address  string           `json:"address,omitempty"` // of the node's endpoints
	Secret   string           `json:"secret"`            // hexadecimal
	Operator raft.Public      `json:"operator"`
	Joins    bool             `json:"joins,omitempty"` // the node was added after the cluster was made
	Index    uint64           `json:"configuration"`   // of Members
	Members  []raftlog.Member `json:"members"`         // empty until the node is added

	path  string
	token raft.Token // the token that the node asks to be added with
}

// newClusterFiles makes the operator's file of a new cluster, and next to it a file for
// each node. It does not overwrite files.
func newClusterFiles(path string, members []config.Peer) (*clusterFile, []*clusterFile, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, nil, domain.Errorf(domain.Internal, "id of the cluster: %w", err)
	}
	secret := raft.NewSecret()
	operator := &clusterFile{Cluster: id.String(), Secret: secret.Text(), Operator: raft.Public{Key: secret.Public(), Signs: secret.Signs()}, path: path}
	var nodes []*clusterFile
	for _, m := range members {
		secret := raft.NewSecret()
		nodes = append(nodes, &clusterFile{
			Cluster: operator.Cluster, Node: m.Node, Address: m.Address, Secret: secret.Text(), Operator: operator.Operator, path: nodeKeyPath(path, m.Node),
		})
		operator.Members = append(operator.Members, raftlog.Member{Node: m.Node, Address: m.Address, Key: secret.Public()})
	}
	all := append([]*clusterFile{operator}, nodes...)
	for _, f := range all {
		if _, err := os.Lstat(f.path); err == nil {
			return nil, nil, keepsKey(f.path)
		}
	}
	for _, f := range all {
		f.Members = operator.Members
		if err := f.create(); err != nil {
			return nil, nil, err
		}
	}
	return operator, nodes, nil
}

func keepsKey(path string) error {
	return hinted(domain.Errorf(domain.Conflict, "%s: want no such file yet, found one", path), "a cluster and its nodes keep their keys; name another file with --cluster-key, in another folder, for another cluster")
}

// nodeKeyPath is the path of a node's file next to the operator's.
func nodeKeyPath(path string, node domain.NodeID) string {
	return filepath.Join(filepath.Dir(path), url.PathEscape(string(node))+".key")
}

func (f *clusterFile) text() ([]byte, error) {
	text, err := json.MarshalIndent(f, "", "  ")
	return append(text, '\n'), err
}

// create writes the file with access for its owner alone. It does not overwrite a file.
func (f *clusterFile) create() error {
	text, err := f.text()
	if err != nil {
		return err
	}
	return createSecret(f.path, text)
}

// createSecret writes a file with access for its owner alone. It does not overwrite a
// file.
func createSecret(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return keepsKey(path)
	}
	if err != nil {
		return domain.Errorf(domain.Invalid, "secret: %w", err)
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return domain.Errorf(domain.Unavailable, "secret: %w", err)
	}
	return nil
}

// learn stores a newer list of members in the file.
func (f *clusterFile) learn(list raftlog.Configuration) error {
	if list.Index <= f.Index && len(f.Members) > 0 {
		return nil
	}
	f.Index, f.Members = list.Index, list.Members
	text, err := f.text()
	if err != nil {
		return err
	}
	return outfile.WriteFile(f.path, text)
}

// readSecret reads a file, and refuses one that others than its owner may read.
func readSecret(path, what string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "%s: %w", what, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && info.Mode().IsRegular() && runtime.GOOS != "windows" {
		return nil, hinted(domain.Errorf(domain.Forbidden, "%s: want %s readable by its owner alone, found mode %04o", what, path, mode), "chmod 600 %s", path)
	}
	text, err := config.ReadFile(path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "%s: %w", what, err)
	}
	return text, nil
}

// readClusterFile reads the file of a node or of the operator, and refuses one that
// others may read.
func readClusterFile(path string) (*clusterFile, error) {
	text, err := readSecret(path, "key of the cluster")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hinted(err, "make one with `rift cluster init`, or bring the node's from where that was done")
	}
	if err != nil {
		return nil, err
	}
	f := &clusterFile{path: path}
	if err := json.Unmarshal(text, f); err != nil {
		return nil, domain.Errorf(domain.Invalid, "key of the cluster: %s is not what `rift cluster init` makes", path)
	}
	if _, err := f.secret(); err != nil || f.Cluster == "" || f.Operator.Key == "" {
		return nil, domain.Errorf(domain.Invalid, "key of the cluster: want an id, a secret and the operator's public keys in %s, as `rift cluster init` makes it", path)
	}
	return f, nil
}

func (f *clusterFile) secret() (raft.Secret, error) { return raft.ParseSecret(f.Secret) }

// ring returns the keys that the file's owner trusts.
func (f *clusterFile) ring() (*raft.Ring, error) {
	secret, err := f.secret()
	if err != nil {
		return nil, err
	}
	self := f.Node
	if self == "" {
		self = raft.Operator
	}
	return raft.NewRing(f.Cluster, self, secret, f.Operator, raftlog.Configuration{Index: f.Index, Members: f.Members}), nil
}

// operatorFile reads the file of an operator.
func operatorFile(path string) (*clusterFile, error) {
	f, err := readClusterFile(path)
	if err == nil && f.Node != "" {
		return nil, hinted(domain.Errorf(domain.Forbidden, "key of the cluster: want the operator's, found that of node %s in %s", f.Node, path), "name the file that `rift cluster init` made beside it with --cluster-key")
	}
	return f, err
}

// selfTokenAge is how long a token is valid that a joining node makes from the
// operator's file next to its own.
const selfTokenAge = 10 * time.Minute

// nodeFile finds the file of a node that is to serve: the one that is named, or the
// node's own next to the operator's. For a node that joins it makes one.
func nodeFile(settings config.Serve) (f *clusterFile, err error) {
	path, node := settings.ClusterKey, domain.NodeID(settings.NodeID)
	var token raft.Token
	if settings.JoinToken != "" {
		if token, err = readJoinToken(settings.JoinToken, nil); err != nil {
			return nil, err
		}
	}
	f, err = readClusterFile(path)
	if err == nil && f.Node == "" {
		if node == "" {
			return nil, domain.Faulty("settings", []domain.Fault{{Field: "node_id", Reason: "want the name that this node has in the cluster, or the node's own file as cluster_key"}})
		}
		if token.Secret == "" && settings.Join != "" {
			if token, err = f.newToken(node, 1, selfTokenAge); err != nil {
				return nil, err
			}
		}
		path = nodeKeyPath(path, node)
		if f, err = readClusterFile(path); errors.Is(err, fs.ErrNotExist) && settings.Join == "" {
			return nil, hinted(domain.Errorf(domain.Invalid, "node %s: want it among the nodes of the cluster, found no file %s", node, path), "add it with `rift cluster add`, or let it join with --join")
		}
	}
	if errors.Is(err, fs.ErrNotExist) && token.Secret != "" {
		address := schemeOf(settings) + "://" + settings.Listen
		return newJoiner(path, config.Peer{Node: node, Address: address}, token)
	}
	if err != nil {
		return nil, err
	}
	f.token = token
	return f, nil
}

// newJoiner makes the file of a node that joins with a token.
func newJoiner(path string, self config.Peer, token raft.Token) (*clusterFile, error) {
	if err := domain.CheckName(string(self.Node)); err != nil || self.Node == raft.Operator {
		return nil, domain.Faulty("settings", []domain.Fault{{Field: "node_id", Reason: "want the name that this node is to have in the cluster"}})
	}
	f := &clusterFile{Cluster: token.Cluster, Node: self.Node, Address: self.Address, Secret: raft.NewSecret().Text(), Operator: token.Operator, Joins: true, path: path, token: token}
	return f, f.create()
}

// adds makes the file of a node that the operator adds, or finds the file of an earlier
// attempt, and puts the node's public key into the change.
func (f *clusterFile) adds(m *raft.ChangedMember) (*clusterFile, error) {
	token := raft.Token{Cluster: f.Cluster, Operator: f.Operator}
	path := nodeKeyPath(f.path, m.Node)
	added, err := readClusterFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		added, err = newJoiner(path, config.Peer{Node: m.Node, Address: m.Address}, token)
	}
	if err != nil {
		return nil, err
	}
	if added.Node != m.Node || added.Cluster != f.Cluster {
		return nil, keepsKey(path)
	}
	added.Joins, added.Address = true, m.Address // a removed node returns as one that joins
	secret, err := added.secret()
	m.Key = secret.Public()
	return added, err
}

// clusterOf reads the cluster file that the settings name, and fills in settings that
// are left open: the node's name, its address, and its data folder.
func clusterOf(settings *config.Serve) (*clusterFile, error) {
	if settings.ClusterKey == "" {
		return nil, nil
	}
	f, err := nodeFile(*settings)
	if err != nil {
		return nil, err
	}
	if settings.NodeID != "" && settings.NodeID != string(f.Node) {
		return nil, domain.Errorf(domain.Invalid, "key of the cluster: want that of node %s, found that of %s in %s", settings.NodeID, f.Node, f.path)
	}
	settings.NodeID = string(f.Node)
	for _, p := range settings.Peers() {
		at := slices.IndexFunc(f.Members, func(m raftlog.Member) bool { return m.Node == p.Node })
		if at < 0 {
			return nil, domain.Errorf(domain.Invalid, "node %s: want it among the nodes of %s, which has no key of it", p.Node, f.path)
		}
		f.Members[at].Address = p.Address
		if p.Node == f.Node {
			f.Address = p.Address
		}
	}
	if settings.Source("listen") == config.FromDefault {
		settings.Listen = hostOf(f.Address)
	}
	if settings.Source("data") == config.FromDefault {
		settings.Data = filepath.Join(settings.Data, settings.NodeID)
	}
	return f, nil
}

func schemeOf(settings config.Serve) string {
	if settings.TLSCert != "" {
		return "https"
	}
	return "http"
}

// hostOf returns the host and port of an address.
func hostOf(address string) string {
	at, err := url.Parse(address)
	if err != nil {
		return address
	}
	return strings.TrimSuffix(at.Host, "/")
}
