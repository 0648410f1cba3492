package elector

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
)

// BallotFile is the name of the ballot's file in the data folder of a voter.
const BallotFile = "ballot"

// maxBallot bounds the file of a ballot, in bytes.
const maxBallot = 4 << 10

// ballotFile keeps a ballot in a folder. If the file is lost, so are the promises: a voter
// without its ballot may vote twice in a term.
type ballotFile struct {
	fs   vfs.FS
	dir  string
	path string
}

// onDisk is the content of the file. Sum is the CRC-32 of the other fields.
type onDisk struct {
	election.Saved
	Sum string `json:"sum"`
}

func sumOf(s election.Saved) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(fmt.Appendf(nil, "%d/%s/%v", s.Term, s.VotedFor, s.LeaseSeconds)))
}

// load reads the ballot; zero if none was saved.
func (f ballotFile) load() (saved election.Saved, err error) {
	file, err := f.fs.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return election.Saved{}, nil
	}
	if err != nil {
		return saved, domain.Errorf(domain.Unavailable, "ballot: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content, err := io.ReadAll(io.LimitReader(file, maxBallot))
	if err != nil {
		return saved, domain.Errorf(domain.Unavailable, "ballot: %w", err)
	}
	return readBallot(content)
}

func readBallot(content []byte) (election.Saved, error) {
	var kept onDisk
	if err := json.Unmarshal(content, &kept); err != nil {
		return election.Saved{}, domain.Errorf(domain.Corrupt, "ballot: %w", err)
	}
	if want := sumOf(kept.Saved); kept.Sum != want {
		return election.Saved{}, domain.Errorf(domain.Corrupt, "ballot: want the sum %s, found %q", want, kept.Sum)
	}
	return kept.Saved, nil
}

// save writes the ballot so that it survives a loss of power. On an error the file is as
// it was.
func (f ballotFile) save(saved election.Saved) error {
	content, err := json.Marshal(onDisk{saved, sumOf(saved)})
	if err != nil {
		return domain.Errorf(domain.Internal, "ballot: %w", err)
	}
	if err := f.write(append(content, '\n')); err != nil {
		return domain.Errorf(domain.Unavailable, "ballot: %w", err)
	}
	return nil
}

func (f ballotFile) write(content []byte) error {
	beside := f.path + ".new"
	file, err := f.fs.Create(beside, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := f.fs.Rename(beside, f.path); err != nil {
		return err
	}
	folder, err := f.fs.OpenDir(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
