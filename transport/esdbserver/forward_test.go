package esdbserver_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A follower sends appends and deletions on to the leader, and returns its answers
// unchanged. Callers that require a leader are told its address.
func TestAppendsAreSentOnToTheLeader(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "n1", "n2")
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	if got := n2.world.script(t, "append stream=s ids=a"); !strings.HasPrefix(got, "Unavailable: ") {
		t.Errorf("without a leader: want Unavailable, found %s", got)
	}
	c.lead("n1")
	script := []string{
		"append stream=%s ids=a,b,c", "append stream=%s ids=a expect=7", "append stream=%s ids=d untyped", "append stream=%s ids=e size=2000000",
		"batch stream=%s ids=f,g", "batch stream=%s ids=h expect=none", "delete stream=%s expect=1", "delete stream=%s", "tombstone stream=%s", "append stream=%s ids=i",
	}
	for _, line := range script {
		want := n1.world.script(t, strings.ReplaceAll(line, "%s", "here"))
		got := n2.world.script(t, strings.ReplaceAll(line, "%s", "sent"))
		if strings.ReplaceAll(positionless(want), "here", "sent") != positionless(got) {
			t.Errorf("%s:\nwant %sfound %s", line, want, got)
		}
	}
	if got := n2.world.script(t, "read stream=other"); strings.Contains(got, "Unavailable") || strings.Contains(got, "not-leader") {
		t.Errorf("want a read answered here, found %s", got)
	}
	for _, line := range []string{"append leader stream=s ids=a", "batch leader stream=s ids=a", "delete leader stream=s", "tombstone leader stream=s", "read leader stream=s"} {
		n1.elsewhere(t, n2.world.script(t, line))
	}
	c.lead("n2")
	if got := n2.world.script(t, "append leader stream=s ids=a"); !strings.Contains(got, "success") {
		t.Errorf("want the leader to take it, found %s", got)
	}
	if got := n1.world.script(t, "append stream=s ids=b"); !strings.Contains(got, "success") {
		t.Errorf("want it sent on to the new leader, found %s", got)
	}
}

// Two nodes that each take the other for the leader do not send a call back and forth.
func TestAppendsAreSentOnOnce(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "n1", "n2", "n3")
	c.nodes["n1"].believes, c.nodes["n2"].believes = "n2", "n1"
	c.lead("n3")
	c.nodes["n1"].elsewhere(t, c.nodes["n1"].world.script(t, "append stream=s ids=a"))
}

// positionless hides the positions of an answer.
func positionless(text string) string {
	at := strings.Index(text, "position:{")
	if at < 0 {
		return text
	}
	return text[:at]
}

// A follower sends an event that is posted to it over HTTP on to the leader.
func TestPostsAreSentToTheLeader(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "n1", "n2")
	c.lead("n1")
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/streams/s", bytes.NewReader([]byte("{}")))
	request.Header.Set("ES-EventType", "T")
	answer := httptest.NewRecorder()
	c.nodes["n2"].server.Handler(http.NotFoundHandler()).ServeHTTP(answer, request)
	if want := "http://" + c.nodes["n1"].address + "/streams/s"; answer.Code != http.StatusTemporaryRedirect || answer.Header().Get("Location") != want {
		t.Errorf("want a redirection to %s, found %d to %q", want, answer.Code, answer.Header().Get("Location"))
	}
}
