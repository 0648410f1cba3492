package pairing

// RoundRobin returns the rounds of Berger's tables: everybody meets everybody once,
// and the numbers of games with each colour differ by at most one. With an odd
// number of players the bye is the last pairing of its round.
func RoundRobin(players int) ([][]Pairing, error) {
	if err := checkPlayers("round robin", players, MaxPlayers); err != nil {
		return nil, err
	}
	n := players + players%2
	rounds := make([][]Pairing, n-1)
	for k := range rounds {
		p := k * n / 2 % (n - 1)
		on := func(i int) int { return (p+i+n-1)%(n-1) + 1 }
		first := Pairing{on(0), n}
		if k%2 == 1 {
			first = Pairing{n, on(0)}
		}
		if players == n {
			rounds[k] = append(rounds[k], first)
		}
		for i := 1; i < n/2; i++ {
			rounds[k] = append(rounds[k], Pairing{on(i), on(-i)})
		}
		if players < n {
			rounds[k] = append(rounds[k], Pairing{White: on(0)})
		}
	}
	return rounds, nil
}

// DoubleRoundRobin returns a round robin followed by the same with colours
// reversed. As FIDE recommends, the last two rounds of the first half are swapped,
// so that nobody has one colour three times in a row.
func DoubleRoundRobin(players int) ([][]Pairing, error) {
	rounds, err := RoundRobin(players)
	if err != nil {
		return nil, err
	}
	half := len(rounds)
	for _, round := range rounds[:half:half] {
		turned := make([]Pairing, len(round))
		for i, p := range round {
			turned[i] = p
			if !p.Bye() {
				turned[i] = Pairing{p.Black, p.White}
			}
		}
		rounds = append(rounds, turned)
	}
	if half >= 3 {
		rounds[half-1], rounds[half-2] = rounds[half-2], rounds[half-1]
	}
	return rounds, nil
}

// Gauntlet returns rounds in which the first player meets each of the others, with
// alternating colours, one per round.
func Gauntlet(players int) ([][]Pairing, error) {
	if err := checkPlayers("gauntlet", players, MaxPlayers); err != nil {
		return nil, err
	}
	rounds := make([][]Pairing, players-1)
	for k := range rounds {
		p := Pairing{1, k + 2}
		if k%2 == 1 {
			p = Pairing{k + 2, 1}
		}
		rounds[k] = []Pairing{p}
	}
	return rounds, nil
}
