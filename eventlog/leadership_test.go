package eventlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func TestNotLeaderSaysWhoLeads(t *testing.T) {
	for _, c := range []struct {
		err   *eventlog.NotLeader
		class error
		says  string
	}{
		{&eventlog.NotLeader{Leader: eventlog.Leader{NodeID: "b", Address: "http://b:1", Term: 7}}, &domain.Error{Code: domain.NotLeader}, "b does in term 7 at http://b:1"},
		{&eventlog.NotLeader{Leader: eventlog.Leader{Term: 7}, Reason: "b and c do not answer"}, domain.ErrUnavailable, "no leader is known: b and c do not answer"},
	} {
		if !errors.Is(c.err, c.class) || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("want class %v and %q, found %v of code %s", c.class, c.says, c.err, domain.CodeOf(c.err))
		}
	}
}
