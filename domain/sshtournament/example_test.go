package sshtournament_test

import (
	"fmt"

	"github.com/ringrift/rift/domain/sshtournament"
)

// A run of three is cut into shards, and its command is quoted for a remote shell.
func Example() {
	run := sshtournament.Started{RunID: "tiers", Participants: []string{"D1", "D2", "D3"}, GamesPerMatchup: 4, GamesPerShard: 4}
	for _, shard := range run.Shards() {
		fmt.Println(shard.Number, shard.Players, shard.Seats(2), run.GameID(shard.Matchup, 2))
	}
	line, err := sshtournament.Quote([]string{"play", "--name", "it's; rm -rf $HOME"})
	fmt.Println(line, err)
	host, err := sshtournament.ParseHost("play@box-1:2222")
	fmt.Println(host.User, host.Address(), err)
	_, err = sshtournament.ParseHost("-oProxyCommand=x")
	fmt.Println(err)
	// Output:
	// 1 [D2 D3] [D3 D2] tiers:1.2
	// 2 [D1 D2] [D2 D1] tiers:2.2
	// 3 [D3 D1] [D1 D3] tiers:3.2
	// exec 'play' '--name' 'it'\''s; rm -rf $HOME' <nil>
	// play box-1:2222 <nil>
	// want the name of a machine, of letters, digits and . -, found "-oProxyCommand=x"
}
