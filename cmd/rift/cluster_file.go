package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport/raft"
)

// clusterFile is what the nodes of a cluster have to have in common.
type clusterFile struct {
	Cluster string        `json:"cluster_id"`
	Secret  string        `json:"secret"` // hexadecimal
	Members []config.Peer `json:"members,omitempty"`

	self config.Peer // who reads it
}

// secretBytes is the least length of a cluster's key.
const secretBytes = 32

// newClusterFile makes the file of a new cluster; it replaces none.
func newClusterFile(path string, members []config.Peer) (*clusterFile, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "id of the cluster: %w", err)
	}
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // it never fails
	f := &clusterFile{Cluster: id.String(), Secret: hex.EncodeToString(secret), Members: members}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, hinted(domain.Errorf(domain.Conflict, "%s: want no such file yet, found one", path), "a cluster keeps its key; name another file for another cluster with --cluster-key")
	}
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "key of the cluster: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "key of the cluster: %w", err)
	}
	return f, nil
}

// readClusterFile reads the file of a cluster. One that others may read is refused.
func readClusterFile(path string) (*clusterFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, hinted(domain.Errorf(domain.Invalid, "key of the cluster: %w", err), "make one with `rift cluster init`, or copy it from another node")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, hinted(domain.Errorf(domain.Forbidden, "key of the cluster: want %s readable by its owner alone, found mode %04o", path, info.Mode().Perm()), "chmod 600 %s", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "key of the cluster: %w", err)
	}
	f := &clusterFile{}
	if err := json.Unmarshal(text, f); err != nil {
		return nil, domain.Errorf(domain.Invalid, "key of the cluster: %s is not what `rift cluster init` makes: %w", path, err)
	}
	if _, err := f.key(); err != nil {
		return nil, domain.Errorf(domain.CodeOf(err), "%s: %w", path, err)
	}
	return f, nil
}

// key is what signs.
func (f *clusterFile) key() (raft.Key, error) {
	secret, err := hex.DecodeString(f.Secret)
	if err != nil || len(secret) < secretBytes || f.Cluster == "" {
		return raft.Key{}, domain.Errorf(domain.Invalid, "key of the cluster: want an id and a secret of %d bytes or more in hexadecimal", secretBytes)
	}
	return raft.Key{Cluster: f.Cluster, Secret: secret}, nil
}

func schemeOf(settings config.Serve) string {
	if settings.TLSCert != "" {
		return "https"
	}
	return "http"
}

// clusterOf reads the file of the cluster that settings name, and takes from it what
// they leave open: where this node listens, and a data folder of its own.
func clusterOf(settings *config.Serve) (*clusterFile, error) {
	if settings.ClusterKey == "" {
		return nil, nil
	}
	f, err := readClusterFile(settings.ClusterKey)
	if err != nil {
		return nil, err
	}
	if peers := settings.Peers(); len(peers) > 0 {
		f.Members = peers
	}
	if settings.Join != "" {
		f.Members = nil
		f.self = config.Peer{Node: domain.NodeID(settings.NodeID), Address: schemeOf(*settings) + "://" + settings.Listen}
		return f, nil
	}
	var self *config.Peer
	for i := range f.Members {
		if string(f.Members[i].Node) == settings.NodeID {
			self = &f.Members[i]
		}
	}
	if self == nil {
		return nil, hinted(domain.Errorf(domain.Invalid, "node %s: want it among the nodes of the cluster, found %d others", settings.NodeID, len(f.Members)),
			"name the nodes with --cluster n1=http://host:port,…")
	}
	f.self = *self
	if settings.Source("listen") == config.FromDefault {
		settings.Listen = hostOf(self.Address)
	}
	if settings.Source("data") == config.FromDefault {
		settings.Data = filepath.Join(settings.Data, settings.NodeID)
	}
	return f, nil
}
