package transport_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// shows is the header of a token.
func shows(secret string) header { return header{"Authorization", "Bearer " + secret} }

// A worker's token is valid for its own nodes only.
func TestAWorkerActsForItsOwnNodes(t *testing.T) {
	const one, two, people = "the-secret-of-gpu-1", "the-secret-of-two-nodes", "the-secret-of-people"
	tokens, err := transport.ReadTokens("one " + one + " worker:gpu-1\ntwo " + two + " worker:gpu-2,gpu-3\npeople " + people + " operator\n")
	if err != nil {
		t.Fatal(err)
	}
	_, h := server(t, transport.Config{Tokens: tokens})
	for i := range 6 {
		mustOK(t, ask(t, h, "POST", "/work/add", fmt.Sprintf(`{"task_id":"t%d","task_type":"selfplay"}`, i), shows(people)))
	}
	for _, step := range []struct {
		secret, path, body string
		status             int
		says               []string
	}{
		{one, "/nodes/register", `{"node_id":"gpu-1"}`, 200, nil},
		{one, "/nodes/register", `{"node_id":"gpu-2"}`, 403, []string{"gpu-1", "gpu-2"}},
		{one, "/nodes/heartbeat", `{"node_id":"gpu-1"}`, 200, nil},
		{one, "/nodes/heartbeat", `{"node_id":"gpu-3"}`, 403, []string{"gpu-1", "gpu-3"}},
		{one, "/nodes/retire", `{"node_id":"gpu-1","reason":"x"}`, 403, []string{"operator", "worker"}},
		{one, "/work/add", `{"task_type":"selfplay"}`, 403, nil},
		{one, "/events", `{"type":"EVALUATION_COMPLETED","payload":{"config_key":"c","model":"m"}}`, 403, nil},
		{one, "/work/claim", `{"node_id":"gpu-2"}`, 403, []string{"gpu-1", "gpu-2"}},
		{one, "/work/claim?dry_run=1", `{"node_id":"gpu-2"}`, 403, []string{"gpu-1", "gpu-2"}},
		{one, "/work/claim", `{"node_id":"gpu-1","limit":2}`, 200, []string{"t0", "t1"}},
		{two, "/work/claim", `{"node_id":"gpu-3","limit":3}`, 200, []string{"t2", "t3", "t4"}},
		// Leases of another node: with its name, with an own name, and without a
		// name.
		{two, "/work/start", `{"task_id":"t0","lease":1,"node_id":"gpu-1"}`, 403, []string{"gpu-1", "gpu-2, gpu-3"}},
		{two, "/work/start", `{"task_id":"t0","lease":1,"node_id":"gpu-2"}`, 409, []string{"stale_lease"}},
		{two, "/work/start", `{"task_id":"t0","lease":1}`, 403, []string{"gpu-2, gpu-3"}},
		{one, "/work/start", `{"task_id":"t2","lease":1}`, 409, []string{"stale_lease", "foreign"}},
		{one, "/work/heartbeat", `{"task_id":"t2","lease":1}`, 409, []string{"stale_lease"}},
		{one, "/work/complete", `{"task_id":"t2","lease":1}`, 409, []string{"stale_lease"}},
		{one, "/work/fail", `{"task_id":"t2","lease":1,"error":"x"}`, 409, []string{"stale_lease"}},
		{one, "/work/release", `{"task_id":"t2","lease":1}`, 409, []string{"stale_lease"}},
		{one, "/work/release", `{"task_id":"t2","lease":1,"node_id":"gpu-3"}`, 403, []string{"gpu-1", "gpu-3"}},
		{one, "/work/complete_batch", `{"items":[{"task_id":"t0","lease":1},{"task_id":"t2","lease":1,"node_id":"gpu-3"}]}`, 403, []string{"gpu-1", "gpu-3"}},
		{one, "/work/fail_batch", `{"items":[{"task_id":"t2","lease":1,"error":"x"}]}`, 200, []string{`"not_failed":1`, "stale_lease"}},
		{one, "/work/heartbeat_batch", `{"items":[{"task_id":"t0","lease":1},{"task_id":"t2","lease":1}]}`, 200, []string{`"beaten":1`, `"not_beaten":1`}},
		// Its own leases.
		{two, "/work/start", `{"task_id":"t2","lease":1,"node_id":"gpu-3"}`, 200, nil},
		{two, "/work/heartbeat_batch", `{"items":[{"task_id":"t2","lease":1,"node_id":"gpu-3"}]}`, 200, []string{`"not_beaten":0`}},
		{two, "/work/fail_batch", `{"items":[{"task_id":"t3","lease":1,"node_id":"gpu-3","error":"x"}]}`, 200, []string{`"not_failed":0`}},
		{one, "/work/complete_batch", `{"items":[{"task_id":"t0","lease":1}]}`, 200, []string{`"not_completed":0`}},
		{one, "/work/release", `{"task_id":"t1","lease":1}`, 200, nil},
		// Only the holder of a cancelled item learns of it.
		{people, "/work/cancel", `{"task_id":"t4"}`, 200, nil},
		{one, "/work/heartbeat", `{"task_id":"t4","lease":1}`, 409, []string{"stale_lease"}},
		{two, "/work/heartbeat", `{"task_id":"t4","lease":1,"node_id":"gpu-3"}`, 200, []string{`"cancel":true`}},
		{people, "/work/complete", `{"task_id":"t2","lease":1}`, 200, nil},
	} {
		got := ask(t, h, "POST", step.path, step.body, shows(step.secret))
		if got.status != step.status || step.status == 403 && got.code() != "forbidden" {
			t.Errorf("%s %s of %s: want %d, found %d %s", step.path, step.body, step.secret, step.status, got.status, got.text)
		}
		for _, word := range step.says {
			if !strings.Contains(got.text, word) {
				t.Errorf("%s %s of %s: want %q told, found %s", step.path, step.body, step.secret, word, got.text)
			}
		}
	}
	mustOK(t, ask(t, h, "GET", "/work/status", "", shows(one)))
}

func TestRolesInTokenFiles(t *testing.T) {
	const secret = "0123456789abcdef"
	for line, want := range map[string]transport.Token{
		secret:                                   {Secret: secret},
		"a " + secret:                            {Name: "a", Secret: secret},
		"a " + secret + " read":                  {Name: "a", Secret: secret, Role: transport.RoleRead},
		"a " + secret + " admin":                 {Name: "a", Secret: secret, Role: transport.RoleAdmin},
		"a\t" + secret + " worker:n1,n-2":        {Name: "a", Secret: secret, Role: transport.RoleWorker, Nodes: []domain.NodeID{"n1", "n-2"}},
		"a " + secret + " operator on-behalf-of": {Name: "a", Secret: secret, Role: transport.RoleOperator, OnBehalf: true},
		"a " + secret + " on-behalf-of":          {Name: "a", Secret: secret, OnBehalf: true},
	} {
		tokens, err := transport.ReadTokens(line)
		if err != nil || len(tokens) != 1 || fmt.Sprint(tokens[0]) != fmt.Sprint(want) {
			t.Errorf("%q: want %v, found %v %v", line, want, tokens, err)
		}
		if governs := len(tokens) == 1 && tokens[0].Governs(); governs != (want.Role == "" || want.Role == transport.RoleAdmin) {
			t.Errorf("%q: found %v for a token that may do everything", line, governs)
		}
	}
	for line, want := range map[string]string{
		"a " + secret + " worker":                                     "worker:NODE",
		"a " + secret + " worker:":                                    "worker:NODE",
		"a " + secret + " worker:n1,":                                 "worker:NODE",
		"a " + secret + " worker:n/1":                                 "letters, digits",
		"a " + secret + " read:n1":                                    "want nodes after the role worker alone",
		"a " + secret + " Admin":                                      "want nothing, a role",
		"a " + secret + " read write":                                 "at most a role",
		"a " + secret + " on-behalf-of read":                          "at most a role",
		secret + " read":                                              "before a role",
		secret + " worker:n1":                                         "before a role",
		"a on-behalf-of":                                              "before a role",
		"a " + secret + " worker:" + strings.Repeat("n,", 5000) + "n": "at most 4096 nodes",
		"a " + secret + " read\nb " + secret:                          "line 2: the secret stands on a line above",
		"a " + secret + " worker:n1\nb " + secret + " worker:n2":      "line 2: the secret stands on a line above",
	} {
		_, err := transport.ReadTokens(line)
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.80q: want %q told and no secret, found %.300v", line, want, err)
		}
	}
	if _, err := transport.ReadTokens("a " + secret + "\nb " + secret); err != nil {
		t.Errorf("one secret of two names with the same rights: %v", err)
	}
}

func FuzzReadTokens(f *testing.F) {
	f.Add("a 0123456789abcdef worker:n1,n2 on-behalf-of\n# people\n\nsecret\n")
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := transport.ReadTokens(text)
		if err != nil {
			return
		}
		for _, token := range tokens {
			if token.Secret == "" || (token.Role == transport.RoleWorker) != (len(token.Nodes) > 0) {
				t.Errorf("%q: found %v", text, token)
			}
		}
	})
}

// A contradictory row is an error when the table is built, not at the first
// request.
func TestRowsOfWrongRolesAreRefused(t *testing.T) {
	for _, option := range []transport.Option{
		transport.By("nobody"), transport.By(transport.RoleWorker),
		transport.OfNodes(func(*transport.Problem) []*domain.NodeID { return nil }),
	} {
		area := transport.Area{Routes: []transport.Route{transport.Post[transport.EventIn]("/x", option)}}
		if _, err := transport.NewHandler(newNode(t), transport.Config{}, area); err == nil {
			t.Error("want the row refused")
		}
	}
}
