package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

// restored is the result of `rift restore`.
type restored struct {
	From    string          `json:"from"`
	Data    string          `json:"data"`
	Log     domain.EventID  `json:"log"`
	Events  domain.Position `json:"events"`
	Until   time.Time       `json:"until,omitzero"`
	Bytes   int64           `json:"bytes"` // of payloads
	Limits  int             `json:"limits"`
	Digest  string          `json:"digest"`
	Seconds float64         `json:"seconds"`
}

func newRestore(a *app) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Make a data folder of a backup",
		Long: `Makes a data folder of what ` + "`rift backup`" + ` wrote. Every event has its position,
revision, id and time again, so every question about the past has the same answer. The
new log is read back, and must have the digest that the backup has.

The data folder must not be there yet, or be empty. The log appears in it when it is
complete: a restoration that is interrupted is seen by whatever opens the folder, and
the same command begins again. A backup that is damaged or cut off is refused, with the
events that cannot be read.

The folder is that of a node alone. To make a cluster of it, begin the cluster with
this node and let others join; members of an old one must not come back to it.`,
		Example: `  rift restore /mnt/backup/rift --data restored
  rift serve --data restored`,
		Args: exactly("BACKUP"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			if data == "" {
				return usagef("%s: want --data with the folder to make", c.CommandPath())
			}
			if err := emptyFolder("restore to", data); err != nil {
				return err
			}
			shown := &steps{app: a}
			began := a.now()
			done, err := backup.Restore(c.Context(), args[0], logFolder(data), backup.Options{WrittenBy: thisBuild().Version, Progress: shown.set})
			shown.done()
			switch {
			case err != nil && c.Context().Err() != nil:
				return hinted(err, "nothing is restored; the same command begins again")
			case domain.CodeOf(err) == domain.Corrupt:
				return hinted(err, "`rift backup verify %s` lists all that is damaged", args[0])
			case err != nil:
				return err
			}
			told := restored{
				From: args[0], Data: data, Log: done.Log, Events: done.Events, Until: done.Until, Bytes: done.Bytes,
				Limits: len(done.Limits), Digest: done.Digest, Seconds: a.now().Sub(began).Seconds(),
			}
			if err := p.Fields(told,
				output.Field{Name: "data", Value: data}, output.Field{Name: "log", Value: told.Log},
				output.Field{Name: "restored", Value: output.Plural(uint64(told.Events), "event") + ", " + output.Bytes(told.Bytes).String() + " of payload"},
				output.Field{Name: "until", Value: told.Until}, output.Field{Name: "digest", Value: told.Digest}, output.Field{Name: "took", Value: a.now().Sub(began)}); err != nil {
				return err
			}
			return p.Line("next: rift log verify --data " + data + ", rift serve --data " + data)
		},
	}
	c.Flags().StringVar(&data, "data", "", "data folder to make")
	// It fails only for an undefined flag.
	_ = c.MarkFlagDirname("data")
	return c
}
