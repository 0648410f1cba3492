// Package play is the built-in games and their players: Hex on n×n cells for two,
// and three-coloured Hex on a hexagon for three. With it gauntlets, tournaments and
// searches run on real games without a game of one's own.
//
// Hex: players place stones in turn; the first joins the upper and the lower side,
// the second the left and the right one. A full board has exactly one winner. With
// the swap rule the second player may take over the first stone, mirrored.
//
// Three-coloured Hex: each player owns two opposite sides of the hexagon and wins by
// joining them. Three colours can shut each other out, so the game also ends when
// nobody can join their sides any more. Ranks are by the fewest stones that a player
// still lacks, counted through empty cells: none for the winner. Players who lack as
// many, or are both shut out, rank by the most stones that they have joined with each
// other or through their sides; those who are level in that too have drawn.
//
// A game depends on its seed, its opening and its players alone. It starts no
// process, opens no file, and takes a name for nothing but a name.
//
// Read game.go (a game from its opening to its ranks), position.go (stones and what
// is joined), players.go (specs), then heuristic.go and mcts.go.
package play
