//go:build unix

package sshrun

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// TestMain also is the command that plays on the hosts, see remote, and a process that
// coordinates, see coordinate.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "coordinate" {
		fmt.Fprintln(os.Stderr, coordinate(os.Args[2]))
		os.Exit(1)
	}
	if len(os.Args) > 2 && os.Args[1] == "remote" {
		os.Exit(remote(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// remote plays games like the match command of a host, in a given manner: well; or
// once badly and then well, per shard. It records in a folder which games it was
// given, and its process id.
func remote(manner, folder string) int {
	var asked struct {
		Games []struct {
			GameID       string `json:"game_id"`
			Participants []struct {
				ModelID string `json:"model_id"`
			} `json:"participants"`
		} `json:"games"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, "input:", err)
		return 4
	}
	note := func(name, text string) {
		file, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, _ = file.WriteString(text + "\n")
			_ = file.Close()
		}
	}
	if manner != "well" && len(asked.Games) > 0 {
		shard, _, _ := strings.Cut(strings.ReplaceAll(asked.Games[len(asked.Games)-1].GameID, ":", "-"), "/")
		if err := os.Mkdir(filepath.Join(folder, "once-"+shard), 0o700); err != nil {
			manner = "well"
		}
	}
	for i, game := range asked.Games {
		note("asked", game.GameID)
		answer := map[string]any{
			"game_id": game.GameID, "participants": []string{game.Participants[0].ModelID, game.Participants[1].ModelID},
			"result": map[string]any{"ranks": []int{1, 2}}, "plies": 30 + i,
		}
		line, err := json.Marshal(answer)
		if err != nil {
			return 5
		}
		fmt.Fprintln(os.Stdout, string(line))
		if i == 0 {
			misbehave(manner, note)
		}
	}
	return 0
}

// misbehave is what a bad command does after its first game.
func misbehave(manner string, note func(name, text string)) {
	switch manner {
	case "die":
		fmt.Fprintln(os.Stderr, "out of\x1b[31m memory")
		os.Exit(3)
	case "rubbish":
		fmt.Fprintln(os.Stdout, "Segmentation fault (core dumped)")
	case "draw":
		fmt.Fprintln(os.Stdout, `{"winner":"nobody"}`)
	case "flood":
		junk := bytes.Repeat([]byte("x"), 64<<10)
		for {
			if _, err := os.Stdout.Write(junk); err != nil {
				os.Exit(6)
			}
		}
	case "hang":
		note("pids", strconv.Itoa(os.Getpid()))
		select {}
	}
}

// host is an OpenSSH server of the test's own, on the loopback.
type host struct {
	port    int
	known   string // its line of known_hosts, without names
	address string // user@127.0.0.1:port
}

// keyPair makes a key: the file of its private half, and its public one.
func keyPair(t *testing.T, folder, name string) (path string, public ssh.PublicKey) {
	t.Helper()
	open, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(secret, "")
	if err != nil {
		t.Fatal(err)
	}
	if public, err = ssh.NewPublicKey(open); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(folder, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, public
}

// freePort returns a port without a listener.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// startSSHD runs an OpenSSH server for the current user until the test ends. lines are
// added to its configuration.
func startSSHD(t *testing.T, folder string, client ssh.PublicKey, lines ...string) host {
	t.Helper()
	server, err := exec.LookPath("sshd")
	if err != nil {
		if server = "/usr/sbin/sshd"; exec.Command(server, "-V").Run() != nil {
			if _, err := os.Stat(server); err != nil {
				t.Fatal("want an OpenSSH server: apt-get install openssh-server, or make sshd")
			}
		}
	}
	if os.Getuid() == 0 { // where its unprivileged part lives
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	keyFile, public := keyPair(t, folder, fmt.Sprintf("host-%d", time.Now().UnixNano()))
	authorized := filepath.Join(folder, "authorized_keys")
	if err := os.WriteFile(authorized, ssh.MarshalAuthorizedKey(client), 0o600); err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // another process may take the port first
		port := freePort(t)
		config := strings.Join(append([]string{
			"Port " + strconv.Itoa(port), "ListenAddress 127.0.0.1", "HostKey " + keyFile, "AuthorizedKeysFile " + authorized, "PidFile none",
			"StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "MaxStartups 100", "LogLevel ERROR",
		}, lines...), "\n") + "\n"
		file := keyFile + ".config"
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		c := exec.Command(server, "-D", "-e", "-f", file)
		c.Stderr, c.SysProcAttr = &said, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = c.Wait()
			close(ended)
		}()
		if answers(port, ended) {
			t.Cleanup(func() {
				_ = c.Process.Kill()
				<-ended
			})
			return host{port, knownhosts.Line([]string{knownhosts.Normalize(fmt.Sprintf("127.0.0.1:%d", port))}, public), fmt.Sprintf("%s@127.0.0.1:%d", me.Username, port)}
		}
		t.Logf("sshd: %s", said.String())
	}
	t.Fatal("sshd does not start")
	return host{}
}

// answers waits until a server takes connections; false when it has ended.
func answers(port int, ended <-chan struct{}) bool {
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}
