package main

import (
	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

// verifiedBackup is the result of `rift backup verify`.
type verifiedBackup struct {
	verified
	Log    domain.EventID `json:"log"`
	Digest string         `json:"digest"`
}

func newBackupVerify(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FOLDER",
		Short: "Check every event of a backup",
		Long: `Reads every file of a backup: checksums, positions without gaps, and the digest over
all events that was computed when the log was read. Lists the events that cannot be
read, with the place in the file. Exits 2 when something is wrong.`,
		Example: `  rift backup verify /mnt/backup/rift
  rift backup verify /mnt/backup/rift -o json`,
		Args: exactly("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			shown := &steps{app: a}
			found, err := backup.Verify(c.Context(), args[0], backup.Options{Progress: shown.set})
			shown.done()
			v := verifiedBackup{verified{Events: found.Whole, Bytes: found.Bytes, Broken: []broken{}, More: found.More}, found.Log, found.Digest}
			if domain.CodeOf(err) == domain.Corrupt {
				v.Broken = append(v.Broken, broken{Reason: err.Error()})
			} else if err != nil {
				return err
			}
			for _, d := range found.Damage {
				v.Broken = append(v.Broken, broken{Position: d.First, To: d.Last, File: d.File, Offset: &d.Offset, Reason: d.Cause.Error()})
			}
			v.OK = len(v.Broken) == 0
			return printVerifiedBackup(p, args[0], v)
		},
	}
}

func printVerifiedBackup(p *output.Printer, name string, v verifiedBackup) error {
	l := v.listing()
	l.Doc = v
	l.Empty = name + ": " + output.Plural(uint64(v.Events), "event") + ", " + output.Bytes(v.Bytes).String() + " of payload: all readable, and as they were backed up"
	if p.Format == output.JSONL && l.Items == nil {
		l.Items = []any{}
	}
	if v.More {
		l.Below = "and more"
	}
	if err := p.Print(l); err != nil {
		return err
	}
	if !v.OK {
		return &findings{len(v.Broken), "finding"}
	}
	return nil
}
