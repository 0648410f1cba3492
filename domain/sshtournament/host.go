package sshtournament

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
)

// Host is a machine, written [user@]name[:port] with an IPv6 address in brackets.
type Host struct {
	User string // empty: as configured for the coordinator
	Name string // of the machine, or its address
	Port int
}

// DefaultPort is the port of SSH.
const DefaultPort = 22

// ParseHost parses a host. Nothing in it can be mistaken for an option or a
// command.
func ParseHost(text string) (Host, error) {
	host := Host{Port: DefaultPort}
	rest := text
	if user, after, found := strings.Cut(text, "@"); found {
		if !word(user, 32, "._-") {
			return Host{}, domain.Errorf(domain.Invalid, "want a user of letters, digits and . _ -, found %q", domain.Clip(user, 64))
		}
		host.User, rest = user, after
	}
	var port string
	var ported bool
	if inside, after, found := strings.Cut(strings.TrimPrefix(rest, "["), "]"); found && strings.HasPrefix(rest, "[") {
		if !strings.Contains(inside, ":") || len(inside) > 45 || strings.Trim(inside, "0123456789abcdefABCDEF:.") != "" {
			return Host{}, domain.Errorf(domain.Invalid, "want an IPv6 address in brackets, found %q", domain.Clip(inside, 64))
		}
		host.Name = inside
		if after != "" && !strings.HasPrefix(after, ":") {
			return Host{}, domain.Errorf(domain.Invalid, "want :port behind the brackets, found %q", domain.Clip(after, 64))
		}
		port, ported = strings.CutPrefix(after, ":")
	} else {
		host.Name, port, ported = strings.Cut(rest, ":")
		if !word(host.Name, 253, ".-") {
			return Host{}, domain.Errorf(domain.Invalid, "want the name of a machine, of letters, digits and . -, found %q", domain.Clip(host.Name, 64))
		}
	}
	if ported {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			return Host{}, domain.Errorf(domain.Invalid, "want a port from 1 to 65535, found %q", domain.Clip(port, 64))
		}
		host.Port = n
	}
	return host, nil
}

// word reports whether text consists of letters, digits and the given other
// characters, starting with a letter or a digit.
func word(text string, most int, others string) bool {
	if text == "" || len(text) > most {
		return false
	}
	for i, c := range []byte(text) {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !plain && (i == 0 || strings.IndexByte(others, c) < 0) {
			return false
		}
	}
	return true
}

// Address returns the host and port to dial.
func (h Host) Address() string {
	name := h.Name
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return name + ":" + strconv.Itoa(h.Port)
}

// Quotable reports whether every shell takes text unchanged between single quotes:
// UTF-8 without control characters.
func Quotable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

// Announced returns a command that first prints its process id on a line, so that
// it can be killed, and then executes argv. The words of argv are passed to sh as
// arguments, which it does not interpret.
//
// Servers leave a command running when its connection ends, as happens when the
// coordinator is killed. A watcher in the command's process group therefore checks
// every second whether the process that serves the connection is alive, and
// otherwise sends the group SIGTERM, followed by SIGKILL five seconds later. If the
// user cannot see that process, there is no watcher.
func Announced(argv []string) []string {
	return append([]string{"sh", "-c", announced, "sh"}, argv...)
}

const announced = `echo $$; if kill -0 $PPID 2>/dev/null; then ( trap "" TERM; ` +
	`while kill -0 $PPID && kill -0 $$; do sleep 1; done; kill -0 $$ || exit; ` +
	`kill -s TERM -- -$$ || kill -s TERM $$; sleep 5; kill -s KILL -- -$$ || kill -s KILL $$; ` +
	`) </dev/null >/dev/null 2>&1 & fi; exec "$@"`

// Killing returns a command that sends a signal to the process group of pid.
func Killing(signal string, pid int) []string {
	return []string{"sh", "-c", fmt.Sprintf("kill -s %s -- -%d || kill -s %s %d", signal, pid, signal, pid)}
}

// Quote returns a command as one line for a remote shell, quoted so that the shell
// takes every word unchanged: SSH passes a command as one string.
func Quote(argv []string) (string, error) {
	if faults := argumentFaults(argv, MaxArguments); len(faults) > 0 {
		return "", domain.Faulty("command", faults)
	}
	var line strings.Builder
	line.WriteString("exec")
	for _, w := range argv {
		line.WriteString(" '" + strings.ReplaceAll(w, "'", `'\''`) + "'")
	}
	return line.String(), nil
}
