// Package race says how much of a long test runs under the race detector, which makes
// code about eight times slower. Tests of code that runs in one goroutine give it
// nothing to find: they try a part of their cases under it, chosen by a fixed rule,
// and all of them without it.
package race

// Some are all cases, or under the race detector the first and every n-th after it.
func Some[T any](all []T, n int) []T {
	if !Enabled {
		return all
	}
	var some []T
	for i := 0; i < len(all); i += n {
		some = append(some, all[i])
	}
	return some
}

// Part is a number of cases, or under the race detector an n-th of it, but at least one.
func Part(cases, n int) int {
	if !Enabled {
		return cases
	}
	return max(1, cases/n)
}
