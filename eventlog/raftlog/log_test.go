package raftlog

import (
	"fmt"
	"testing"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

func TestKeepsThePromises(t *testing.T) {
	for _, size := range []int{1, 3, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			logtest.Run(t, func(t testing.TB) eventlog.Log {
				_, logs := openCluster(t, size, patient)
				return logs[0]
			})
		})
	}
}
