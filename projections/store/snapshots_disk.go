package store

import (
	"cmp"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
)

// find lists the snapshots on disk. It removes those that are incomplete, of other
// generations, or ahead of a store that lost its last batches.
func (p *snapshots) find() {
	fs := p.store.options.FS
	p.list = nil
	names, err := fs.List(p.dir)
	if err != nil {
		return // there are none yet
	}
	for _, name := range names {
		dir := fs.PathJoin(p.dir, path.Base(name))
		position, err := p.readMark(dir)
		if err != nil || !strings.HasSuffix(dir, "-"+p.print) || position > p.store.at.position {
			p.remove(dir)
			continue
		}
		p.list = append(p.list, snapshot{position: position, dir: dir})
	}
	p.sort()
}

func (p *snapshots) sort() {
	slices.SortFunc(p.list, func(a, b snapshot) int { return cmp.Compare(a.position, b.position) })
}

// writeMark marks a snapshot as complete; the mark holds its position.
func (p *snapshots) writeMark(dir string, at domain.Position) error {
	fs := p.store.options.FS
	mark, err := fs.Create(fs.PathJoin(dir, completeMark), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = mark.Write([]byte(at.String()))
	return errors.Join(err, mark.Sync(), mark.Close())
}

func (p *snapshots) readMark(dir string) (domain.Position, error) {
	fs := p.store.options.FS
	mark, err := fs.Open(fs.PathJoin(dir, completeMark))
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(io.LimitReader(mark, 32))
	if err := errors.Join(err, mark.Close()); err != nil {
		return 0, err
	}
	return domain.ParsePosition(string(text))
}

func (p *snapshots) remove(dir string) {
	if err := p.store.options.FS.RemoveAll(dir); err != nil {
		p.store.options.Logger.Warn("a snapshot stays on disk", "folder", dir, "error", err)
	}
}

// bytes is the size of the tables that only snapshots use. The caller holds mu.
func (p *snapshots) bytes() int64 {
	fs := p.store.options.FS
	counted := map[string]bool{}
	if live, err := fs.List(fs.PathJoin(p.store.dir, rowsFolder)); err == nil {
		for _, name := range live {
			counted[path.Base(name)] = true
		}
	}
	sum := int64(0)
	for i := range p.list {
		kept := &p.list[i]
		if kept.files == nil {
			kept.files = p.sizes(kept.dir)
		}
		for name, size := range kept.files {
			if !counted[name] {
				counted[name] = true
				sum += size
			}
		}
	}
	return sum
}

// sizes returns the sizes of the tables of a snapshot; its other files are added up under
// the name of its folder.
func (p *snapshots) sizes(dir string) map[string]int64 {
	fs := p.store.options.FS
	files := map[string]int64{}
	names, err := fs.List(dir)
	if err != nil {
		return files
	}
	for _, name := range names {
		name = path.Base(name)
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			continue
		}
		if strings.HasSuffix(name, tableSuffix) {
			files[name] = info.Size()
		} else {
			files[dir] += info.Size()
		}
	}
	return files
}

// copyTo copies the newest snapshot up to a position into a folder. Tables are linked;
// files that Pebble writes to are copied.
func (p *snapshots) copyTo(dir string, at domain.Position) error {
	p.mu.Lock()
	defer p.mu.Unlock() // keeps the snapshot from being removed
	i, exact := slices.BinarySearchFunc(p.list, at, func(kept snapshot, at domain.Position) int { return cmp.Compare(kept.position, at) })
	if !exact {
		i--
	}
	if i < 0 {
		return nil
	}
	fs := p.store.options.FS
	from, to := p.list[i].dir, fs.PathJoin(dir, rowsFolder)
	if err := fs.MkdirAll(to, 0o755); err != nil {
		return err
	}
	names, err := fs.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		name = path.Base(name)
		if name == completeMark || name == "LOCK" {
			continue
		}
		copyFile := vfs.Copy
		if strings.HasSuffix(name, tableSuffix) {
			copyFile = vfs.LinkOrCopy
		}
		if err := copyFile(fs, fs.PathJoin(from, name), fs.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return nil
}
