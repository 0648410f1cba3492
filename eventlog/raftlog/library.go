package raftlog

import (
	"fmt"
	"log/slog"

	"github.com/ringrift/rift/domain"
)

// guard turns a panic of the library into an error. The library panics when its state is
// inconsistent.
func guard(do func() error) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = domain.Errorf(domain.Corrupt, "replicated log: %v", broken)
		}
	}()
	return do()
}

// raftLogger is the logger of the library. Its Fatal and Panic must panic.
type raftLogger struct{ out *slog.Logger }

func (l raftLogger) Debug(v ...any)            { l.out.Debug(fmt.Sprint(v...)) }
func (l raftLogger) Debugf(f string, v ...any) { l.out.Debug(fmt.Sprintf(f, v...)) }
func (l raftLogger) Info(v ...any)             { l.out.Debug(fmt.Sprint(v...)) }
func (l raftLogger) Infof(f string, v ...any)  { l.out.Debug(fmt.Sprintf(f, v...)) }
func (l raftLogger) Warning(v ...any)          { l.out.Warn(fmt.Sprint(v...)) }
func (l raftLogger) Warningf(f string, v ...any) {
	l.out.Warn(fmt.Sprintf(f, v...))
}
func (l raftLogger) Error(v ...any)            { l.out.Error(fmt.Sprint(v...)) }
func (l raftLogger) Errorf(f string, v ...any) { l.out.Error(fmt.Sprintf(f, v...)) }
func (l raftLogger) Fatal(v ...any)            { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }
func (l raftLogger) Panic(v ...any)            { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }
