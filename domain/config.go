package domain

import (
	"slices"
	"strconv"
	"strings"
)

// Board is a board of the game.
type Board string

// The boards.
const (
	Hex8      Board = "hex8"      // 61 cells
	Square8   Board = "square8"   // 64 cells
	Square19  Board = "square19"  // 361 cells
	Hexagonal Board = "hexagonal" // 469 cells
)

// Boards lists the boards from small to large.
var Boards = []Board{Hex8, Square8, Square19, Hexagonal}

// Limits of the number of players.
const (
	MinPlayers = 2
	MaxPlayers = 4
)

// ConfigKey names one kind of game, "<board>_<players>p": ratings, training and
// selfplay are kept per key.
type ConfigKey string

// Config returns the key of a board and a number of players.
func Config(board Board, players int) ConfigKey {
	return ConfigKey(string(board) + "_" + strconv.Itoa(players) + "p")
}

// ConfigKeys lists all twelve keys, small boards first.
func ConfigKeys() []ConfigKey {
	keys := make([]ConfigKey, 0, len(Boards)*(MaxPlayers-MinPlayers+1))
	for _, board := range Boards {
		for players := MinPlayers; players <= MaxPlayers; players++ {
			keys = append(keys, Config(board, players))
		}
	}
	return keys
}

// ParseConfigKey parses a key from outside. Other spellings found in old tools
// (hex_2p, square8_2, all) are refused: a wrong guess would mix the ratings of two
// games.
func ParseConfigKey(text string) (ConfigKey, error) {
	board, players, _ := strings.Cut(text, "_")
	count, isCount := strings.CutSuffix(players, "p")
	if !slices.Contains(Boards, Board(board)) || !isCount || len(count) != 1 || count[0] < '0'+MinPlayers || count[0] > '0'+MaxPlayers {
		return "", Errorf(Invalid, "want <board>_<players>p of the boards hex8, square8, square19, hexagonal and 2 to 4 players, found %q", Clip(text, 64))
	}
	return ConfigKey(text), nil
}

// Board returns the board of the key.
func (k ConfigKey) Board() Board {
	board, _, _ := strings.Cut(string(k), "_")
	return Board(board)
}

// Players returns the number of players, 0 for an invalid key.
func (k ConfigKey) Players() int {
	if _, err := ParseConfigKey(string(k)); err != nil {
		return 0
	}
	return int(k[len(k)-2] - '0')
}

// TrainingStream returns the stream of the game's training events. All decisions
// about its training are made on this one stream, so that two reactions cannot
// contradict each other.
func (k ConfigKey) TrainingStream() StreamID { return Stream("training", string(k)) }

// EloStream returns the stream of the game's ratings.
func (k ConfigKey) EloStream() StreamID { return Stream("elo", string(k)) }

// ModelID names a model by the hash of its weights, so that the same weights
// under two file names are one model.
type ModelID string

// Stream returns the stream of a model's events, as opposed to those of its game.
func (id ModelID) Stream() StreamID { return Stream("model", string(id)) }
