package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/cmd/internal/worker"
	"github.com/ringrift/rift/domain"
)

// inherited are the environment variables of the worker that commands get too.
var inherited = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"}

func (a *app) workerConfig(c *cobra.Command, f workerFlags, argv []string, logger *slog.Logger) (worker.Config, error) {
	w := worker.Config{
		Capabilities: f.capabilities, Types: f.types, Slots: f.slots, Commands: map[string][]string{}, Logger: logger,
		Grace: f.grace, StalledAfter: f.stalledAfter, FailStalled: f.failStalled, ItemTimeout: f.itemTimeout, OrphanGrace: f.orphan,
		DrainTimeout: f.drain, ReportTimeout: f.report, Poll: f.poll, Wait: f.wait, Beat: f.beat,
		ReleaseCodes: f.releaseCodes, FatalCodes: f.fatal, Inline: 16 << 10, Once: f.once, MaxItems: f.maxItems,
		Limits: worker.Limits{Processes: f.processes, Files: f.files, CPU: f.cpu},
	}
	name, err := a.workerName(f.node)
	if err != nil {
		return w, err
	}
	w.Node = domain.NodeID(name)
	if w.Folder = f.scratch; w.Folder == "" {
		w.Folder = filepath.Join(os.TempDir(), "rift-worker-"+name)
	}
	if len(argv) > 0 {
		w.Commands[""] = argv
	}
	for _, text := range f.execs {
		taskType, command, found := strings.Cut(text, "=")
		if !found || taskType == "" {
			return w, usagef("--exec: want TYPE=COMMAND, found %q", text)
		}
		if w.Commands[taskType] != nil {
			return w, usagef("--exec: want one command for %s, found two", taskType)
		}
		words, err := worker.SplitCommand(command)
		if err != nil {
			return w, err
		}
		w.Commands[taskType] = words
		if len(f.types) == 0 && len(argv) == 0 {
			w.Types = append(w.Types, taskType)
		}
	}
	if w.Env, err = a.workerEnv(f.env); err != nil {
		return w, err
	}
	if w.RunAs, err = parseUser(f.runAs); err != nil {
		return w, err
	}
	if f.gpu != "" {
		if w.GPU, err = worker.SplitCommand(f.gpu); err != nil {
			return w, err
		}
	}
	if w.Facts, err = workerFacts(f.facts, f.slots); err != nil {
		return w, err
	}
	if err := f.sizes(&w); err != nil {
		return w, err
	}
	self, err := os.Executable()
	if err != nil {
		return w, domain.Errorf(domain.Unavailable, "this program's own path: %w", err)
	}
	w.Limiter = []string{self, "worker", "exec-limited"}
	w.Guard = []string{self, "worker", "guard"}
	settings, err := config.LoadClient(c.Flags(), a.getenv)
	if err != nil {
		return w, err
	}
	token, err := readToken(settings.TokenFile)
	if err != nil {
		return w, err
	}
	w.Cluster, err = worker.NewCluster(worker.ClusterConfig{
		Addresses: settings.Addresses(), Token: token, Actor: name, Timeout: settings.Timeout, Routes: wiring.Routes(), Logger: logger,
	})
	return w, err
}

// sizes decodes the flags that are sizes.
func (f workerFlags) sizes(w *worker.Config) error {
	sizes := []struct {
		flag, text string
		into       func(int64)
	}{
		{"tail", f.tail, func(n int64) { w.Tail = int(n) }},
		{"max-result", f.result, func(n int64) { w.MaxResult = int(n) }},
		{"max-output", f.output, func(n int64) { w.MaxOutput = n }},
		{"scratch-max", f.scratchMax, func(n int64) { w.ScratchMax = n }},
		{"limit-memory", f.memory, func(n int64) { w.Limits.Memory = uint64(n) }},
		{"limit-file-size", f.fileSize, func(n int64) { w.Limits.FileSize = uint64(n) }},
	}
	for _, size := range sizes {
		if size.text == "" {
			continue
		}
		n, err := config.ParseSize(size.text)
		if err != nil || n < 0 {
			return usagef("--%s: want a size such as 512 or 1MiB, found %q", size.flag, size.text)
		}
		size.into(int64(n))
	}
	return nil
}

func (a *app) workerName(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if name := a.getenv("RIFT_NODE_ID"); name != "" {
		return name, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", hinted(domain.Errorf(domain.Invalid, "this host's name: %w", err), "name the node with --node-id")
	}
	return name, nil
}

// workerEnv is the environment of commands.
func (a *app) workerEnv(named []string) ([]string, error) {
	var env []string
	for _, name := range inherited {
		if value := a.getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	for _, text := range named {
		name, _, given := strings.Cut(text, "=")
		if name == "" || strings.HasPrefix(name, "RIFT_") || strings.ContainsRune(text, 0) {
			return nil, usagef("--env: want NAME or NAME=VALUE, and none that begins with RIFT_; found %q", text)
		}
		if !given {
			text = name + "=" + a.getenv(name)
		}
		env = slices.DeleteFunc(env, func(known string) bool { return strings.HasPrefix(known, name+"=") })
		env = append(env, text)
	}
	return env, nil
}

func parseUser(text string) (*worker.User, error) {
	if text == "" {
		return nil, nil
	}
	uid, gid, found := strings.Cut(text, ":")
	user, err := strconv.ParseUint(uid, 10, 32)
	group, err2 := strconv.ParseUint(gid, 10, 32)
	if err = errors.Join(err, err2); err != nil || !found {
		return nil, usagef("--run-as: want UID:GID in numbers, found %q", text)
	}
	return &worker.User{UID: uint32(user), GID: uint32(group)}, nil
}

// workerFacts are facts found about the machine, overridden by those that were given.
func workerFacts(given string, slots int) (json.RawMessage, error) {
	facts := map[string]any{"os": runtime.GOOS, "arch": runtime.GOARCH, "cpus": runtime.NumCPU(), "slots": slots}
	if gib := worker.MemoryGiB(); gib > 0 {
		facts["memory_gb"] = float64(int(gib*10)) / 10
	}
	if given != "" {
		text, err := readJSON("--facts", given)
		if err != nil {
			return nil, err
		}
		var more map[string]any
		if err := json.Unmarshal(text, &more); err != nil || more == nil {
			return nil, usagef("--facts: want a JSON object, found %.60q", text)
		}
		for key, value := range more {
			facts[key] = value
		}
	}
	return json.Marshal(facts)
}
