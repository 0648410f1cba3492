package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/ringrift/rift/domain"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func serve(t *testing.T, getenv func(string) string, args ...string) (Serve, error) {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	ServeFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return LoadServe(flags, getenv)
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rift.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := serve(t, env())
	if err != nil {
		t.Fatal(err)
	}
	want := Serve{
		Data: "data", Listen: "127.0.0.1:8770", Cluster: "main", Lease: 3 * time.Second, LogLevel: "info", LogFormat: "auto", GossipEvery: 2 * time.Second,
		SSH:       SSH{User: "rift"},
		Limits:    Limits{BodyBytes: 1 << 20, GossipBytes: 4 << 20, InFlight: 1024, Scans: 32, Connections: 4096, Subscribers: 256, AfterWait: 5 * time.Second, ShutdownGrace: 10 * time.Second},
		Snapshots: Snapshots{Every: 15_000, Keep: 400, Bytes: 4 << 30},
	}
	if !same(s, want) {
		t.Errorf("found %+v, want %+v", s, want)
	}
}

// same reports whether settings have the same values, wherever they come from.
func same(a, b Serve) bool {
	a.sources, b.sources = nil, nil
	return reflect.DeepEqual(a, b)
}

// Each place wins over those behind it, key by key.
func TestPrecedence(t *testing.T) {
	path := write(t, "data: from-file\nlisten: 10.0.0.1:1\nnode_id: from-file\ncluster: from-file\nlimits:\n  in_flight: 7\n  body_bytes: 2MiB\n")
	s, err := serve(t, env("RIFT_LISTEN", "10.0.0.2:2", "RIFT_NODE_ID", "from-env", "RIFT_LIMITS_BODY_BYTES", "3MiB"),
		"--config", path, "--node-id", "from-flag", "--limits-body-bytes=4MiB")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{s.Data, s.Listen, s.NodeID, s.Cluster, s.Limits.BodyBytes.String()}
	if want := []string{"from-file", "10.0.0.2:2", "from-flag", "from-file", "4MiB"}; !slices.Equal(got, want) || s.Limits.InFlight != 7 {
		t.Errorf("found %v and %d, want %v and 7", got, s.Limits.InFlight, want)
	}
	for key, want := range map[string]string{"data": path, "listen": "RIFT_LISTEN", "node_id": "--node-id", "log_level": "default"} {
		if s.Source(key) != want {
			t.Errorf("source of %s: found %q, want %q", key, s.Source(key), want)
		}
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	path := write(t, "listn: 127.0.0.1:1\nlimits:\n  in_flght: 3\n  body_bytes: lots\nzebra: 1\ndata: [a, b]\n")
	_, err := serve(t, env("RIFT_LIMITS_IN_FLIGHT", "few", "RIFT_LISTEN", "nowhere"), "--config", path, "--log-level", "loud", "--limits-after-wait", "0s", "--limits-rate=-1", "--log", "no-scheme")
	var faulty *domain.Error
	if !errors.As(err, &faulty) || faulty.Code != domain.Invalid {
		t.Fatalf("found %v, want faults", err)
	}
	found := map[string]string{}
	for _, fault := range faulty.Faults {
		if found[fault.Field] != "" {
			t.Errorf("%s is told twice", fault.Field)
		}
		found[fault.Field] = fault.Reason
	}
	for field, want := range map[string]string{
		"listn":             "did you mean listen?",
		"limits.in_flght":   "did you mean limits.in_flight?",
		"zebra":             "not a setting",
		"data":              "want one value",
		"limits.body_bytes": "want a size",
		"limits.in_flight":  "RIFT_LIMITS_IN_FLIGHT",
		"listen":            `want host:port, found "nowhere" (RIFT_LISTEN)`,
		"log_level":         "--log-level",
		"limits.after_wait": "more than 0s",
		"limits.rate":       "0 or more",
		"log":               "want a connection string",
	} {
		if !strings.Contains(found[field], want) {
			t.Errorf("%s: found %q, want it to say %q", field, found[field], want)
		}
	}
	if strings.Contains(found["zebra"], "did you mean") {
		t.Errorf("zebra: found %q, want no guess", found["zebra"])
	}
}

func TestFileNamedButMissing(t *testing.T) {
	for _, args := range [][]string{{"--config", "/nowhere/rift.yaml"}, nil} {
		getenv := env()
		if args == nil {
			getenv = env("RIFT_CONFIG", "/nowhere/rift.yaml")
		}
		if _, err := serve(t, getenv, args...); !errors.Is(err, domain.ErrNotFound) {
			t.Errorf("found %v, want not found", err)
		}
	}
}

func TestDefaultFileIsRead(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile(DefaultFile, []byte("data: here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := serve(t, env()); err != nil || s.Data != "here" {
		t.Errorf("found %q, %v", s.Data, err)
	}
	if err := os.WriteFile(DefaultFile, []byte("data: [unclosed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serve(t, env()); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), DefaultFile) {
		t.Errorf("found %v, want the file named", err)
	}
}

// The printed settings can be read back, name their sources, and contain no
// secrets.
func TestPrint(t *testing.T) {
	s, err := serve(t, env("RIFT_CONFIG", write(t, "cluster: gpu\n")), "--log", "esdb://admin:hunter2@db:2113", "--limits-in-flight", "5")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"log: esdb://admin:xxxxx@db:2113 # --log\n", "listen: 127.0.0.1:8770 # default\n", "limits:\n  body_bytes: 1MiB # default\n", "  in_flight: 5 # --limits-in-flight\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("found\n%s\nwant %q in it", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error("the password is printed")
	}
	again, err := serve(t, env("RIFT_CONFIG", write(t, out.String())))
	if err != nil {
		t.Fatal(err)
	}
	again.Log = s.Log
	if !same(again, s) {
		t.Errorf("read back: found %+v, want %+v", again, s)
	}
}

func TestClient(t *testing.T) {
	t.Chdir(t.TempDir())
	load := func(getenv func(string) string, args ...string) (Client, error) {
		flags := pflag.NewFlagSet("work", pflag.ContinueOnError)
		ClientFlags(flags)
		if err := flags.Parse(args); err != nil {
			t.Fatal(err)
		}
		return LoadClient(flags, getenv)
	}
	for _, c := range []struct{ variable, flag, want string }{
		{"", "", "http://127.0.0.1:8770"},
		{"https://hub/", "", "https://hub"},
		{"https://hub", "other:99", "http://other:99"},
		{"a:1, https://b:2/,c:3", "", "http://a:1,https://b:2,http://c:3"},
	} {
		var args []string
		if c.flag != "" {
			args = []string{"--addr", c.flag}
		}
		client, err := load(env("RIFT_ADDR", c.variable), args...)
		if err != nil || client.Addr != c.want || client.Timeout != 30*time.Second {
			t.Errorf("%q %q: found %+v, %v, want %s", c.variable, c.flag, client, err, c.want)
		}
	}
	for _, list := range []string{"a:1,,b:2", "a:1,ftp://b", strings.Repeat("a:1,", 64) + "a:1"} {
		if _, err := load(env(), "--addr", list); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: found %v, want it refused", list, err)
		}
	}
	if _, err := load(env(), "--addr", "ftp://x", "--timeout", "-1s"); err == nil || strings.Count(err.Error(), "want") != 2 {
		t.Errorf("found %v, want two faults", err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"512": 512, "1KiB": 1024, "1.5MiB": 3 << 19, "2 GB": 2e9, "3K": 3072, "0": 0} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: found %d, %v, want %d", text, got, err, want)
		}
		if again, err := ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%s: printed as %s, read back as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "MiB", "1XB", "nan", "1e300GiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: found %d, want an error", text, got)
		}
	}
}

// Every setting of one name means the same everywhere, since one file serves all.
func TestSettingsAreDescribed(t *testing.T) {
	for _, s := range slices.Concat(settingsOf(&Serve{}), settingsOf(&Client{})) {
		if s.usage == "" {
			t.Errorf("%s has no help", s.key)
		}
		if s.fallback != "" {
			if err := s.set(s.fallback); err != nil {
				t.Errorf("%s: default: %v", s.key, err)
			}
		}
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"data":                                   "data",
		"esdb://db:2113?tls=false":               "esdb://db:2113?tls=false",
		"esdb://admin@db":                        "esdb://admin@db",
		"esdb://admin:hunter2@db:2113":           "esdb://admin:xxxxx@db:2113",
		"esdb://admin:hunter2@a:1,b:2/?tls=true": "esdb://admin:xxxxx@a:1,b:2/?tls=true",
		"esdb+discover://admin:a/b@c@db?x=y@z":   "esdb+discover://admin:xxxxx@db?x=y@z",
	} {
		if found := Redact(text); found != want {
			t.Errorf("%s: want %s, found %s", text, want, found)
		}
	}
}
