package main

import (
	"os"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/transport"
)

// A token file that others may read is refused before the node serves, with what to do.
func TestATokenFileIsForItsOwnerAlone(t *testing.T) {
	tokens := writeFile(t, "tokens", "me sesame-open-wide-now\n")
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(tokens, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := tokensIn(tokens); err == nil { // serve would not end
			t.Fatalf("mode %04o: want the file refused", mode)
		}
		r := rift(t, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--token-file", tokens)
		r.want(t, exitError, "", "token file "+tokens+": want it for its owner alone")
		if !strings.Contains(r.stderr, "chmod 600 "+tokens) || strings.Contains(r.stderr, "sesame") {
			t.Errorf("mode %04o: want what to do told and no secret, found %s", mode, r.stderr)
		}
		s := nodeServer{settings: config.Serve{PeerToken: tokens}}
		if _, err := s.peerToken(); err == nil || !strings.Contains(err.Error(), "owner alone") {
			t.Errorf("mode %04o of the token for other nodes: found %v", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if err := os.Chmod(tokens, mode); err != nil {
			t.Fatal(err)
		}
		if found, err := tokensIn(tokens); err != nil || len(found) != 1 {
			t.Errorf("mode %04o: found %v %v", mode, found, err)
		}
	}
}

// A node shows other nodes a token of the role admin if there is one. Only such tokens are
// keys for packets between nodes.
func TestNodesShowATokenThatGoverns(t *testing.T) {
	for _, c := range []struct{ text, shows, keys string }{
		{"w first worker:gpu-1\na second admin\nb third\n", "second", "second third"},
		{"first\na second admin\no third operator\n", "first", "first second"},
		{"w first worker:gpu-1\nr second read\n", "first", "refused"},
	} {
		tokens, err := transport.ReadTokens(c.text)
		if err != nil {
			t.Fatal(err)
		}
		s := nodeServer{tokens: tokens}
		if found, err := s.peerToken(); err != nil || found != c.shows {
			t.Errorf("%q: want %s shown, found %q %v", c.text, c.shows, found, err)
		}
		secrets, err := s.memberSecrets()
		if (err != nil) != (c.keys == "refused") || err == nil && strings.Join(secrets, " ") != c.keys {
			t.Errorf("%q: want keys of %s, found %q %v", c.text, c.keys, secrets, err)
		}
		s.settings.PeerToken = writeFile(t, "peer", "shared-secret\n")
		if secrets, err := s.memberSecrets(); err != nil || secrets[0] != "shared-secret" {
			t.Errorf("%q: want what all nodes have first, found %q %v", c.text, secrets, err)
		}
	}
	if secrets, err := (&nodeServer{}).memberSecrets(); err != nil || secrets != nil {
		t.Errorf("want nothing encrypted without tokens, found %q %v", secrets, err)
	}
}
