package main

import (
	"math"
	"testing"
)

func TestCalcCMAES(t *testing.T) {
	doc := calc(t, "", "cmaes", "--function", "sphere", "--dim", "10", "--x0", "1", "--sigma0", "0.5", "--seed", "1", "--target", "1e-8")
	if doc["reached"] != true || doc["evaluations"].(float64) > 1700 || doc["best"].(map[string]any)["fitness"].(float64) > 1e-8 {
		t.Errorf("found %v", doc)
	}
	if again := calc(t, "", "cmaes", "--dim", "10", "--seed", "1"); again["evaluations"] != doc["evaluations"] || again["sigma"] != doc["sigma"] {
		t.Errorf("want the same run of the same seed, found %v", again)
	}
	if stop := doc["stop"].([]any)[0].(map[string]any)["name"]; stop != "ftarget" {
		t.Errorf("want it to stop at the target, found %v", stop)
	}
	bounded := calc(t, "", "cmaes", "--function", "ellipsoid", "--dim", "3", "--x0", "2,3,4", "--sigma0", "1", "--bounds", "1,5", "--target", "-1")
	for _, x := range bounded["best"].(map[string]any)["x"].([]any) {
		if math.Abs(x.(float64)-1) > 1e-3 {
			t.Errorf("want the optimum at the bound, found %v", bounded["best"])
		}
	}
	several := calc(t, "", "cmaes", "--function", "rosenbrock", "--dim", "4", "--x0", "0", "--seeds", "3", "--restarts", "bipop")
	if several["reached"] != 3.0 || several["median_evaluations"].(float64) > 3000 {
		t.Errorf("found %v", several)
	}
	rift(t, "calc", "cmaes", "--seeds", "2", "-o", "table").want(t, exitDone, "2 of 2 reached the target, in ", "")
	bad := rift(t, "calc", "cmaes", "--function", "x", "--dim", "0", "--x0", "a", "--bounds", "1")
	for _, want := range []string{`no function "x"`, "--dim: want 1 to 500, found 0", `--x0: want numbers, found "a"`, `--bounds: want LOW,HIGH`} {
		bad.want(t, exitError, "", want)
	}
	rift(t, "calc", "cmaes", "--sigma0", "-1").want(t, exitError, "", "sigma0: want more than 0, found -1")
}

// With the default policy and the games that it schedules, a candidate that is 50
// Elo better passes in four of five evaluations or more, and one that is equal in
// one of twenty or fewer.
func TestTheDefaultGatesLetProgressPass(t *testing.T) {
	better, equal := calc(t, "", "gates", "--runs", "1000", "--elo", "50"), calc(t, "", "gates", "--runs", "1000", "--elo", "0")
	if better["low"].(float64) < 0.8 || equal["high"].(float64) > 0.05 {
		t.Errorf("want at least 0.8 and at most 0.05, found %v and %v", better, equal)
	}
}

// A much better candidate passes nearly always where the gates can be passed, one that
// is equal hardly ever, and the gate that stops it is named first.
func TestCalcGates(t *testing.T) {
	args := []string{"gates", "--runs", "300", "--games", "1000", "--set", "gauntlet.sprt_elo1=60"}
	better := calc(t, "", append(args, "--elo", "150")...)
	equal := calc(t, "", append(args, "--elo", "0")...)
	if better["passed"].(float64) < 0.95 || equal["passed"].(float64) > 0.05 {
		t.Errorf("want one passed and one not, found %v and %v", better, equal)
	}
	if low, high := better["low"].(float64), better["high"].(float64); low >= better["passed"].(float64) || high < better["passed"].(float64) {
		t.Errorf("want an interval around the share, found %v", better)
	}
	gates := equal["gates"].([]any)
	first, last := gates[0].(map[string]any), gates[len(gates)-1].(map[string]any)
	if first["passed"].(float64) > 0.1 || last["passed"] != 1.0 {
		t.Errorf("want the gate that stops it first, found %v", gates)
	}
	rift(t, "calc", "gates", "--runs", "20", "-o", "table").want(t, exitDone, "a candidate 50 Elo better is promoted in ", "")
	bad := rift(t, "calc", "gates", "--runs", "0", "--draw-rate", "1", "--config-key", "chess", "--set", "promotion.x=1")
	for _, want := range []string{"--runs: want 1 to", "--draw-rate: want 0", "--config-key: want a game", "promotion.x"} {
		bad.want(t, exitError, "", want)
	}
}

// A much better candidate passes the gates of every preset. An equal one does not pass those
// of the strict preset, and passes the legacy ones in a quarter of the cases.
func TestGatesOfPresets(t *testing.T) {
	for _, c := range []struct {
		preset      string
		better      float64 // at least, of 60 Elo more
		least, most float64 // of equals
	}{{"default", 0.9, 0, 0.05}, {"strict", 0.9, 0, 0.02}, {"win-rate", 0.6, 0.15, 0.4}} {
		args := []string{"gates", "--preset", c.preset, "--runs", "600"}
		better, equal := calc(t, "", append(args, "--elo", "60")...)["passed"].(float64), calc(t, "", append(args, "--elo", "0")...)["passed"].(float64)
		if better < c.better || equal < c.least || equal > c.most {
			t.Errorf("%+v: found %v and %v", c, better, equal)
		}
	}
	rift(t, "calc", "gates", "--preset", "none").want(t, exitError, "", "--preset: want one of default, strict, win-rate")
	rift(t, "policies", "set", "--preset", "none").want(t, exitError, "", "--preset: want one of default, strict, win-rate")
	rift(t, "policies", "set", "--preset", "strict", "a=1").want(t, exitError, "", "--preset: want it alone")
}
