package matching

import (
	"strings"
	"testing"

	"github.com/ringrift/rift/domain/sched"
)

func TestWhatItemsSayOfNodes(t *testing.T) {
	x := New()
	node := sched.Node{
		ID: "gpu-1", Words: []string{"cuda", "h100"}, GPUPercent: sched.Known(5050),
		Facts: `{"gpu":{"name":"H100","memory_gb":80},"cpus":64,"labels":{"zone":"b"},"node_id":"liar"}`,
	}
	for text, want := range map[string]bool{
		`gpu.memory_gb >= 24 && "cuda" in capabilities`: true,
		`gpu.memory_gb >= 96`:                           false,
		`labels.zone == "b" and cpus > 32`:              true,
		`labels.zone in ["a", "c"]`:                     false,
		`node_id == "gpu-1"`:                            true,
		`level.gpu_percent < 51`:                        true,
		`level.disk_percent < 51`:                       false, // not known
		`nothing.of.the.kind`:                           false,
		`cpus + 1`:                                      false, // is no answer
		`disks > 3`:                                     false,
		`disks == nil`:                                  true,
		`gpu.name matches "^H"`:                         true,
		`len(capabilities) == 2`:                        true,
	} {
		if err := x.CheckWhere(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := x.NodeFits(text, node); got.OK != want || got.Reason == "" {
			t.Errorf("%s: want %v, found %+v", text, want, got)
		}
	}
	if got := x.NodeFits(`gpu.memory_gb >= 24`, sched.Node{ID: "bare", Facts: `[1]`}); got.OK {
		t.Errorf("facts that are no object: want them to say nothing, found %+v", got)
	}
}

func TestWhatNodesSayOfItems(t *testing.T) {
	x := New()
	item := sched.Requirement{Type: "training", Config: "hex8_2p", Words: []string{"gpu"}}
	for text, want := range map[string]bool{
		`task_type in ["training", "export"]`:             true,
		`task_type != "training"`:                         false,
		`config_key startsWith "hex" && !requires_gpu`:    true,
		`"gpu" in requires`:                               true,
		`none(requires, # == "gpu") or config_key == "x"`: false,
	} {
		if got := x.ItemFits(text, item); got.OK != want {
			t.Errorf("%s: want %v, found %+v", text, want, got)
		}
	}
}

// A fault is named with its place; what could cost much is refused.
func TestFaultsAreNamed(t *testing.T) {
	x := New()
	for text, want := range map[string]string{
		`gpu.memory_gb >=`:                            "column",
		`"a" + "b"`:                                   "bool",
		`all(1..1000000000, true)`:                    "..",
		`let a = "aa"; a == a`:                        "variables",
		`any(labels, any(labels, true))`:              "a loop inside a loop",
		`map([1], #) == [1]`:                          "map",
		`now() > date("2020-01-01")`:                  "now",
		`"a" == "` + strings.Repeat("x", 3<<10) + `"`: "at most 2048 bytes",
	} {
		if err := x.CheckWhere(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: want a fault about %q, found %v", text, want, err)
		}
	}
	if err := x.CheckAccepts(`task_typ == "training"`); err == nil || !strings.Contains(err.Error(), "column 1") {
		t.Errorf("want a misspelt name refused with its place, found %v", err)
	}
}

// The maps of what was compiled and read stay bounded.
func TestWhatIsKeptIsBounded(t *testing.T) {
	x := New()
	for i := range kept + 10 {
		text := "cpus == " + strings.Repeat("1", 1+i%9) + strings.Repeat(" ", i/9)
		x.NodeFits(text[:min(len(text), 600)], sched.Node{Facts: `{"a":"` + strings.Repeat("b", i%500) + `"}` + strings.Repeat(" ", i/500)})
	}
	if len(x.where) > kept || len(x.asked.said) > kept {
		t.Fatalf("want at most %d kept, found %d and %d", kept, len(x.where), len(x.asked.said))
	}
}

// Whatever is written and whatever the facts are, an expression is refused or
// evaluated, the same every time, and nothing breaks.
func FuzzExpressions(f *testing.F) {
	for _, seed := range [][2]string{
		{`gpu.memory_gb >= 24 && "cuda" in capabilities`, `{"gpu":{"memory_gb":24}}`},
		{`all(values(labels), # startsWith "a")`, `{"labels":{"a":"b"}}`},
		{`gpu[0].name matches ".*"`, `{"gpu":[{"name":null}]}`},
		{`sum([1, "a"]) > 1`, `{"cpus":1e400}`},
		{`1 / 0 == 1`, `null`},
		{`"a" * 3`, `[]`},
		{``, ``},
		{`$env`, `{}`},
		{`$env.x.y?.z ?? true`, `{"x":1}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, facts string) {
		x := New()
		node := sched.Node{ID: "n", Words: []string{"cuda"}, Facts: facts}
		refused := x.CheckWhere(text) != nil
		first, again := x.NodeFits(text, node), New().NodeFits(text, node)
		if first.OK != again.OK || first.Unknown != again.Unknown {
			t.Fatalf("%q of %q: %+v, then %+v", text, facts, first, again)
		}
		if refused && first.OK {
			t.Fatalf("%q is refused and true", text)
		}
		if x.CheckAccepts(text) != nil && x.ItemFits(text, sched.Requirement{Type: "t"}).OK {
			t.Fatalf("%q is refused and true", text)
		}
	})
}
