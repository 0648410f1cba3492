package bench

import (
	"context"
	"os/exec"
	"strings"

	"github.com/ringrift/rift/domain"
)

// child makes the command of a part of this program, with a clean environment:
// settings of whoever runs the bench are not to be measured.
func (s *suite) child(ctx context.Context, args ...string) (*exec.Cmd, error) {
	if s.options.Child == nil {
		return nil, domain.Errorf(domain.Invalid, "bench: want a way to start processes")
	}
	command, err := s.options.Child(ctx, args...)
	if err != nil {
		return nil, err
	}
	var clean []string
	for _, pair := range command.Environ() {
		if !strings.HasPrefix(pair, "RIFT_") || strings.HasPrefix(pair, childVariable+"=") {
			clean = append(clean, pair)
		}
	}
	command.Env = clean
	return command, nil
}

// childVariable is the only setting that a child keeps: tests use it.
const childVariable = "RIFT_BENCH_CHILD"
