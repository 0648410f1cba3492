//go:build unix

package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringrift/rift/domain"
)

// claimed is an item with its lease, as returned by a claim.
type claimed struct {
	TaskID         domain.TaskID   `json:"task_id"`
	Lease          uint64          `json:"lease"`
	TaskType       string          `json:"task_type"`
	ConfigKey      string          `json:"config_key"`
	Payload        json.RawMessage `json:"payload"`
	Attempt        int             `json:"attempt"`
	Deadline       time.Time       `json:"deadline"`                  // of the lease, by the node's clock
	LeaseSeconds   domain.Seconds  `json:"lease_seconds"`             // from the claim to the deadline
	TimeoutSeconds domain.Seconds  `json:"timeout_seconds,omitempty"` // absent from older nodes
	Size           int             `json:"size,omitempty"`            // how much of it to do; 0: what the payload says
}

// Files in an item's folder.
const (
	itemFile    = "item.json"
	payloadFile = "payload.json"
	resultFile  = "result.json"
)

// openFolder locks a folder for this worker until the returned file is closed, and
// cleans up after an earlier worker: first its processes, then their folders.
func openFolder(folder string, others bool) (*os.File, int, error) {
	mode := fs.FileMode(0o700)
	if others {
		mode = 0o711 // commands of another user must reach their own folders
	}
	if err := os.MkdirAll(folder, mode); err != nil {
		return nil, 0, domain.Errorf(domain.Unavailable, "scratch folder: %w", err)
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return nil, 0, domain.Errorf(domain.Unavailable, "scratch folder: %w", err)
	}
	var owner unix.Stat_t
	if err := unix.Lstat(folder, &owner); err != nil {
		return nil, 0, domain.Errorf(domain.Unavailable, "scratch folder: %w", err)
	}
	if !info.IsDir() || int(owner.Uid) != os.Geteuid() {
		return nil, 0, domain.Errorf(domain.Forbidden, "scratch folder %s: want a folder of our own, found one of user %d", folder, owner.Uid)
	}
	if err := os.Chmod(folder, mode); err != nil {
		return nil, 0, domain.Errorf(domain.Unavailable, "scratch folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(folder, ".lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, 0, domain.Errorf(domain.Unavailable, "scratch folder: %w", err)
	}
	before, err := takeLock(lock)
	if err != nil {
		return nil, 0, errors.Join(domain.Errorf(domain.Conflict, "scratch folder %s: another worker uses it: %w", folder, err), lock.Close())
	}
	left := killGroups(before) + killMarked(folder)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, 0, errors.Join(domain.Errorf(domain.Unavailable, "scratch folder: %w", err), lock.Close())
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(folder, entry.Name())); err != nil {
				return nil, 0, errors.Join(domain.Errorf(domain.Unavailable, "scratch folder: %w", err), lock.Close())
			}
		}
	}
	return lock, left, nil
}

// takeLock locks the file, and returns the process groups recorded in it. It waits
// for the guard of a killed worker, which is ending the remaining processes.
func takeLock(lock *os.File) (map[int]string, error) {
	look := time.NewTicker(guardWait / 100)
	defer look.Stop()
	for tries := 0; ; tries++ {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		worker, _ := noted(io.NewSectionReader(lock, 0, math.MaxInt64))
		if lives(worker) || tries == 100 {
			return nil, err
		}
		<-look.C
	}
	_, born := noted(io.NewSectionReader(lock, 0, math.MaxInt64))
	return born, nil
}

// guardWait limits how long a guard is waited for.
const guardWait = 10 * time.Second

// removeTree removes a folder whatever the permissions of the folders below it.
func removeTree(folder string) error {
	err := os.RemoveAll(folder)
	for tries := 0; err != nil && tries < 3; tries++ {
		// WalkDir does not follow links, so nothing outside is changed.
		_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, _ error) error {
			if entry != nil && entry.IsDir() {
				_ = os.Chmod(path, 0o700) // RemoveAll reports what could not be fixed
			}
			return nil
		})
		err = os.RemoveAll(folder)
	}
	return err
}

// prepare creates an item's folder and the files that the command reads.
func (c Config) prepare(item claimed) (folder string, err error) {
	folder = filepath.Join(c.Folder, fmt.Sprintf("%s-%d", item.TaskID, item.Lease))
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", domain.Errorf(domain.Unavailable, "scratch folder of %s: %w", item.TaskID, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(domain.Errorf(domain.Unavailable, "scratch folder of %s: %w", item.TaskID, err), removeTree(folder))
		}
	}()
	encoded, err := json.Marshal(item)
	if err != nil {
		return "", err
	}
	payload := []byte(item.Payload)
	if len(payload) == 0 {
		payload = []byte("null")
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(folder, itemFile), append(encoded, '\n'), 0o600),
		os.WriteFile(filepath.Join(folder, payloadFile), payload, 0o600),
	); err != nil {
		return "", err
	}
	if c.RunAs != nil {
		for _, path := range []string{folder, filepath.Join(folder, itemFile), filepath.Join(folder, payloadFile)} {
			if err := os.Lchown(path, int(c.RunAs.UID), int(c.RunAs.GID)); err != nil {
				return "", err
			}
		}
	}
	return folder, nil
}

// environment returns the environment of an item's command: what the configuration
// allows, and RIFT_*. The worker's own variables are not passed on.
func (c Config) environment(item claimed, folder string, deadline time.Time) []string {
	payload := strings.TrimSpace(string(item.Payload))
	if payload == "" {
		payload = "null"
	}
	if len(payload) > c.Inline {
		payload = filepath.Join(folder, payloadFile)
	}
	env := make([]string, 0, len(c.Env)+13)
	for _, variable := range c.Env {
		if !strings.HasPrefix(variable, "RIFT_") && !strings.HasPrefix(variable, "TMPDIR=") {
			env = append(env, variable)
		}
	}
	if item.Size > 0 {
		env = append(env, "RIFT_SIZE="+strconv.Itoa(item.Size))
	}
	return append(env,
		"TMPDIR="+folder,
		"RIFT_TASK_ID="+string(item.TaskID),
		"RIFT_LEASE="+strconv.FormatUint(item.Lease, 10),
		"RIFT_TASK_TYPE="+item.TaskType,
		"RIFT_CONFIG_KEY="+item.ConfigKey,
		"RIFT_ATTEMPT="+strconv.Itoa(item.Attempt),
		"RIFT_PAYLOAD="+payload,
		"RIFT_PAYLOAD_FILE="+filepath.Join(folder, payloadFile),
		"RIFT_RESULT_FILE="+filepath.Join(folder, resultFile),
		"RIFT_SCRATCH="+folder,
		"RIFT_NODE_ID="+string(c.Node),
		"RIFT_DEADLINE="+deadline.UTC().Format(time.RFC3339Nano),
	)
}

// readResult reads the result file in a command's folder. Since the command may
// have created anything there, only a regular file is read, without blocking, up to
// a limit.
func readResult(folder string, most int) (result json.RawMessage, size int, found bool, err error) {
	file, err := os.OpenFile(filepath.Join(folder, resultFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, true, domain.Errorf(domain.Invalid, "result file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, true, domain.Errorf(domain.Invalid, "result file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, true, domain.Errorf(domain.Invalid, "result file: want a plain file, found %s", info.Mode().Type())
	}
	text, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	if err != nil {
		return nil, 0, true, domain.Errorf(domain.Invalid, "result file: %w", err)
	}
	if len(text) > most {
		return nil, int(info.Size()), true, nil
	}
	result, ok := usable(bytes.TrimSpace(text))
	if !ok {
		return nil, 0, true, domain.Errorf(domain.Invalid, "result file: want JSON, found %.60q", text)
	}
	return result, 0, true, nil
}
