//go:build unix

package endtoend

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkAttacks measures the claims and heartbeats of honest workers beside each
// attack, in milliseconds at the 99th percentile and as a multiple of those without an
// attack, which are measured just before. It stops the node under all attacks at once.
//
// An attack runs in a process of its own at the lowest priority: it stands for other
// machines, which take no processor time from the node's.
func BenchmarkAttacks(b *testing.B) {
	const grace = 10 * time.Second
	node := serve(b, filepath.Join(b.TempDir(), "data"), "--memory-limit", strconv.Itoa(attackedMemory), "--limits-shutdown-grace", grace.String(), "--log-level", "error")
	c := node.caller()
	c.must(b, quickly(600))
	addLongItems(b, c)
	for _, a := range attacks() {
		b.Run(a.name, func(b *testing.B) {
			var quiet, beside map[string]float64
			for b.Loop() {
				quiet = slowest(b, c)
				end := startAttack(b, a.name, node.address)
				beside = slowest(b, c)
				end()
			}
			for path, millis := range beside {
				name := filepath.Base(path)
				b.ReportMetric(millis, name+"-p99-ms")
				b.ReportMetric(millis/quiet[path], name+"-x-quiet")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	var ends []func()
	for _, a := range attacks() {
		ends = append(ends, startAttack(b, a.name, node.address))
	}
	peak, began := node.peak(b), time.Now()
	node.stop(syscall.SIGTERM)
	b.Logf("peak memory %d MiB of %d MiB, stopped under all attacks in %v of %v", peak>>20, attackedMemory>>20, time.Since(began).Round(time.Millisecond), grace)
	for _, end := range ends {
		end()
	}
}

// slowest lets sixteen honest workers work for five seconds and returns the 99th
// percentile of claims and heartbeats, by path, in milliseconds.
func slowest(b *testing.B, c *caller) map[string]float64 {
	b.Helper()
	const workers, lasts, pace = 16, 5 * time.Second, 20 * time.Millisecond
	millis := map[string][]float64{}
	var mu sync.Mutex
	var group sync.WaitGroup
	until := time.Now().Add(lasts)
	for w := range workers {
		group.Go(func() {
			for n := 0; time.Now().Before(until); n++ {
				key := fmt.Sprintf("bench-%d-%d-%d", until.UnixNano(), w, n)
				err := honestJob(b.Context(), c, key, fmt.Sprintf("gpu-%d", w), func(path string, d time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					if path != "/work/complete" {
						millis[path] = append(millis[path], float64(d.Microseconds())/1000)
					}
				})
				if err == nil { // another item takes the place of the one that is done
					_, err = c.do(b.Context(), order{key + "/add", "/work/add", `{"task_type":"selfplay"}`})
				}
				if err != nil {
					b.Error(err)
					return
				}
				pause(b.Context(), pace)
			}
		})
	}
	group.Wait()
	p99 := map[string]float64{}
	for path, values := range millis {
		slices.Sort(values)
		p99[path] = values[len(values)*99/100]
	}
	return p99
}

// attackVariable has this test binary run an attack, given as its name and an address,
// in place of the tests.
const attackVariable = "RIFT_ATTACK"

// attackUntilTold runs an attack until its standard input ends.
func attackUntilTold(given string) (code int) {
	name, address, _ := strings.Cut(given, "@")
	at := slices.IndexFunc(attacks(), func(a attack) bool { return a.name == name })
	end, err := attacks()[at].begin(context.Background(), address)
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, "begun")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	end()
	return 0
}

// startAttack starts an attack in a process of the lowest priority and waits until it
// has begun.
func startAttack(b *testing.B, name, address string) (end func()) {
	b.Helper()
	command := exec.Command("nice", "-n", "19", os.Args[0])
	command.Env = append(environment(), attackVariable+"="+name+"@"+address)
	in, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	end = func() {
		_ = in.Close() // the process ends with its input
		_ = command.Wait()
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "begun\n" {
		end()
		b.Fatalf("attack %s: want it begun, found %q: %v", name, line, err)
	}
	return end
}
