//go:build unix

package worker

import (
	"bytes"
	"context"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain/nodes"
)

// beatNode reports the node's level until the worker has nothing more to do.
func (w *worker) beatNode(calls context.Context, idle <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-idle:
			return
		case <-w.cutOff:
			return
		case <-timer.C:
		}
		w.mu.Lock()
		jobs := w.running
		w.mu.Unlock()
		level := w.level(jobs)
		if err := w.cluster.do(calls, nodescmd.NodeHeartbeat{NodeID: w.Node, Level: level}, w.instance("beat"), anyReceipt); err != nil {
			failures++
			w.Logger.Warn("heartbeat of the node not answered", "failures", failures, "error", err)
			timer.Reset(min(backoff(failures), w.Beat))
			continue
		}
		failures = 0
		timer.Reset(w.Beat*3/4 + time.Duration(w.random()*float64(w.Beat)/4))
	}
}

// leaveWithin bounds how long a worker that ends takes for telling so.
const leaveWithin = 5 * time.Second

// leave tells that the node ends in good order, so that nobody misses it. It is not
// repeated: a node that falls silent is found out as well.
func (w *worker) leave(ctx context.Context) {
	if w.killed() {
		return
	}
	if err := w.cluster.do(ctx, nodescmd.NodeHeartbeat{NodeID: w.Node, Leaves: true}, w.instance("leave"), anyReceipt); err != nil {
		w.Logger.Warn("no node was told that this one ends; it will count as down", "error", err)
	}
}

// level returns what can be measured cheaply, and leaves out the rest.
func (w *worker) level(jobs int) nodes.Level {
	level := nodes.Level{Jobs: &jobs, CPUPercent: loadPercent(), MemoryPercent: memoryPercent(), DiskPercent: diskPercent(w.Folder)}
	level.GPUPercent, level.GPUMemoryPercent = w.gpu()
	return level
}

// MachineLevel returns the machine's level, as far as it can be measured cheaply,
// with the disk of a folder.
func MachineLevel(folder string) nodes.Level {
	return nodes.Level{CPUPercent: loadPercent(), MemoryPercent: memoryPercent(), DiskPercent: diskPercent(folder)}
}

func diskPercent(folder string) *float64 {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil || stat.Blocks == 0 {
		return nil
	}
	used := float64(stat.Blocks) - float64(stat.Bfree)
	return percent(used, used+float64(stat.Bavail))
}

// percent returns a share in percent with two decimals, nil if unknown.
func percent(part, whole float64) *float64 {
	share := math.Round(part/whole*1e4) / 1e2
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return nil
	}
	share = min(max(share, 0), 100)
	return &share
}

// gpuWait limits the command that queries the GPUs.
const gpuWait = 10 * time.Second

// gpu runs the command that prints the use of the GPUs.
func (w *worker) gpu() (use, memory *float64) {
	if len(w.GPU) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(w.reports, gpuWait)
	defer cancel()
	c := exec.CommandContext(ctx, w.GPU[0], w.GPU[1:]...)
	c.Env, c.WaitDelay = w.Env, time.Second
	var said bytes.Buffer
	c.Stdout = &bounded{&said, 64 << 10}
	if err := c.Run(); err != nil {
		w.Logger.Warn("the GPUs' use is unknown", "error", err)
		return nil, nil
	}
	return readGPUs(said.String())
}

// bounded keeps the beginning of what is written.
type bounded struct {
	*bytes.Buffer
	room int
}

func (b *bounded) Write(p []byte) (int, error) {
	kept := p[:min(len(p), b.room)]
	b.room -= len(kept)
	b.Buffer.Write(kept)
	return len(p), nil
}

// readGPUs parses one line per GPU: its use in percent, then that of its memory if
// known, separated by commas or spaces. It returns the means.
func readGPUs(text string) (use, memory *float64) {
	var sums [2]float64
	var counts [2]float64
	for line := range strings.Lines(text) {
		numbers := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(", \t%\n\r", r) })
		for i, text := range numbers[:min(len(numbers), 2)] {
			number, err := strconv.ParseFloat(text, 64)
			if err != nil || !(number >= 0 && number <= 100) {
				break
			}
			sums[i] += number
			counts[i]++
		}
	}
	return percent(sums[0], 100*counts[0]), percent(sums[1], 100*counts[1])
}
