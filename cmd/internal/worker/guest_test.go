//go:build unix

package worker

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary stands in for the commands of items, and for the limiter.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "guest" {
		os.Exit(guest(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "guard" {
		Guard(os.Args[2], os.Stdin)
		os.Exit(0)
	}
	if len(os.Args) > 3 && os.Args[1] == "host" {
		os.Exit(host(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "limiter" {
		os.Exit(limiter(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func limiter(args []string) int {
	var l Limits
	flags := flag.NewFlagSet("limiter", flag.ContinueOnError)
	flags.Uint64Var(&l.Processes, "processes", 0, "")
	flags.Uint64Var(&l.Memory, "memory", 0, "")
	flags.Uint64Var(&l.FileSize, "file-size", 0, "")
	flags.Uint64Var(&l.Files, "files", 0, "")
	flags.Uint64Var(&l.CPU, "cpu", 0, "")
	if err := flags.Parse(args); err != nil {
		return 126
	}
	fmt.Fprintln(os.Stderr, l.Become(flags.Args()))
	return 127
}

func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

// guest is one of the commands that the tests run for an item.
func guest(name string, args []string) int {
	switch name {
	case "play": // well-behaved: reads its item, reports progress, returns a result
		var item claimed
		if err := json.NewDecoder(os.Stdin).Decode(&item); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		say(`progress: {"games":1}`)
		say("result: {\"task\":%q,\"lease\":%d,\"payload\":%s}", item.TaskID, item.Lease, item.Payload)
	case "env":
		encoded, err := json.Marshal(os.Environ())
		if err != nil {
			return 1
		}
		if err := os.WriteFile(os.Getenv("RIFT_RESULT_FILE"), fmt.Appendf(nil, `{"env":%s}`, encoded), 0o600); err != nil {
			return 1
		}
	case "exit": // CODE TEXT
		fmt.Fprintln(os.Stderr, args[1])
		code, _ := strconv.Atoi(args[0])
		return code
	case "spin": // FILE: takes all of a processor until the file is there
		for {
			if _, err := os.Stat(args[0]); err == nil {
				say(`result: {"spun":true}`)
				return 0
			}
		}
	case "wait": // until it gets a signal
		say(`progress: {"waiting":true}`)
		tell(args)
		waitForever()
	case "stubborn": // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		say("progress: 1")
		tell(args)
		waitForever()
	case "polite": // exits with a result on SIGTERM
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		tell(args)
		<-told
		say(`result: {"partial":true}`)
	case "gate": // waits until the other end of a pipe is opened
		tell(args[1:])
		gate, err := os.Open(args[0])
		if err != nil {
			return 1
		}
		_, _ = io.Copy(io.Discard, gate)
		say(`result: {"through":true}`)
	case "flood": // BYTES
		most, _ := strconv.Atoi(args[0])
		out := bufio.NewWriterSize(os.Stdout, 1<<16)
		line := strings.Repeat("y", 99) + "\n"
		for n := 0; n < most; n += len(line) {
			if _, err := out.WriteString(line); err != nil {
				return 1
			}
		}
		if out.Flush() != nil {
			return 1
		}
		say("the end of the flood")
	case "binary":
		_, _ = os.Stdout.Write([]byte("\xff\xfe\x00\x1b[31mred\nprogress: \"\xff\"\n"))
		_, _ = os.Stderr.Write([]byte("caf\xe9 caf\u00e9\n"))
		return 9
	case "family": // leaves one behind in its group, one in a session of its own
		for i, session := range []bool{false, true} {
			if err := spawn([]string{"wait", args[i]}, session); err != nil {
				return 1
			}
		}
		awaitFiles(args[:2])
		say(`result: {"family":2}`)
	case "clan": // a group of processes whose leader stays and ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		for i, session := range []bool{false, true} {
			if err := spawn([]string{"stubborn", args[i]}, session); err != nil {
				return 1
			}
		}
		awaitFiles(args[:2])
		tell(args[2:])
		waitForever()
	case "bomb": // DEPTH FOLDER: two children of each down to a depth, all of which stay
		depth, _ := strconv.Atoi(args[0])
		if depth > 0 {
			for range 2 {
				// What cannot be started is what the limits are for.
				_ = spawn([]string{"bomb", strconv.Itoa(depth - 1), args[1]}, false)
			}
		}
		tell([]string{filepath.Join(args[1], strconv.Itoa(os.Getpid()))})
		signal.Ignore(syscall.SIGTERM)
		waitForever()
	case "limits":
		var found []string
		for _, resource := range []int{unix.RLIMIT_NPROC, unix.RLIMIT_FSIZE, unix.RLIMIT_NOFILE, unix.RLIMIT_CPU, unix.RLIMIT_CORE} {
			var limit unix.Rlimit
			if err := unix.Getrlimit(resource, &limit); err != nil {
				return 1
			}
			found = append(found, strconv.FormatUint(limit.Max, 10))
		}
		say("result: %q", strings.Join(found, " "))
	case "bigfile":
		signal.Ignore(syscall.SIGXFSZ)
		err := os.WriteFile("big", make([]byte, 1<<20), 0o600)
		say("result: {\"too_large\":%v}", errors.Is(err, syscall.EFBIG))
	case "fifo": // a result that would be waited for
		if unix.Mkfifo(os.Getenv("RIFT_RESULT_FILE"), 0o600) != nil {
			return 1
		}
	case "link": // a result that links to another user's file
		if os.Symlink(args[0], os.Getenv("RIFT_RESULT_FILE")) != nil {
			return 1
		}
	case "large": // BYTES of result
		size, _ := strconv.Atoi(args[0])
		if os.WriteFile(os.Getenv("RIFT_RESULT_FILE"), []byte(`"`+strings.Repeat("x", size)+`"`), 0o600) != nil {
			return 1
		}
	case "mess": // folders that cannot be entered
		if os.MkdirAll("a/b/c", 0o700) != nil || os.WriteFile("a/b/c/file", nil, 0o400) != nil || os.Chmod("a/b", 0) != nil {
			return 1
		}
	case "hoard": // FILES BYTES: fills the disk, out of sight, and stays
		files, _ := strconv.Atoi(args[0])
		size, _ := strconv.Atoi(args[1])
		if os.MkdirAll("a/b", 0o700) != nil {
			return 1
		}
		for i := range files {
			if os.WriteFile(filepath.Join("a/b", strconv.Itoa(i)), make([]byte, size), 0o600) != nil {
				return 1
			}
		}
		if os.Symlink("/", "a/b/all") != nil || os.Chmod("a/b", 0) != nil {
			return 1
		}
		tell(args[2:])
		waitForever()
	case "sparse": // a file that is large and takes nothing
		file, err := os.Create("holes")
		if err != nil || file.Truncate(1<<40) != nil {
			return 1
		}
		tell(args)
		say(`result: {"sparse":true}`)
	case "chatter": // LINES of progress as fast as they go
		lines, _ := strconv.Atoi(args[0])
		out := bufio.NewWriterSize(os.Stdout, 1<<16)
		for i := range lines {
			fmt.Fprintf(out, "progress: {\"n\":%d}\n", i)
		}
		if out.Flush() != nil {
			return 1
		}
		say("result: %d", lines)
	case "tear": // closes its output and goes on
		if os.Stdout.Close() != nil || os.Stderr.Close() != nil {
			return 1
		}
		tell(args)
		waitForever()
	default:
		return 99
	}
	return 0
}

func waitForever() {
	never := make(chan os.Signal, 1)
	signal.Notify(never, syscall.SIGUSR2) // a sender must exist, or it counts as a deadlock
	<-never
}

// tell writes this process's id to the first file named.
func tell(files []string) {
	if len(files) == 0 {
		return
	}
	if err := os.WriteFile(files[0]+".new", []byte(strconv.Itoa(os.Getpid())), 0o600); err == nil {
		_ = os.Rename(files[0]+".new", files[0]) // the test waits for it and reports a failure
	}
}

func awaitFiles(files []string) {
	for _, file := range files {
		for {
			if _, err := os.Stat(file); err == nil {
				break
			}
			var none unix.Timespec
			none.Nsec = 1e6
			_, _ = unix.Ppoll(nil, &none, nil) // a millisecond
		}
	}
}

func spawn(args []string, session bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, append([]string{"guest"}, args...)...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if !session {
		c.Env = []string{"GROUP=is all that tells whose this is"}
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
	return c.Start()
}
