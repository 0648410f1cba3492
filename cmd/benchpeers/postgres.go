package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

var errNoPostgres = errors.New("no PostgreSQL found on the PATH or in /usr/lib/postgresql: install its server (Debian: apt-get install postgresql; Fedora: dnf install postgresql-server)")

// findPostgres returns the folder of initdb and postgres.
func findPostgres() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return majorOf(b) - majorOf(a) })
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
			return "", err
		}
		dirs = slices.Insert(dirs, 0, filepath.Dir(initdb))
	}
	for _, dir := range dirs {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errNoPostgres
}

// majorOf returns the version in /usr/lib/postgresql/<version>/bin, 0 if there is none.
func majorOf(dir string) int {
	version, err := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64)
	if err != nil {
		return 0
	}
	return int(version)
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// postgres is a database cluster of its own with the table of jobs.
type postgres struct {
	process *process
	config  *pgx.ConnConfig
	version string
}

// plans makes the planner use the indexes. By default it reads the whole table for a batch
// while the statistics are those of a short table, for a minute or more, and the peer is
// to be as fast as possible.
var plans = map[string]string{
	"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
}

// startPostgres makes a database cluster and serves it on the loopback address, with a
// password. All settings that make a commit durable keep their default, on.
func startPostgres(ctx context.Context, programs, dir string) (p *postgres, err error) {
	data, secret := filepath.Join(dir, "postgres"), filepath.Join(dir, "postgres.secret")
	password := rand.Text()
	if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(secret, []byte(password), 0o600)); err != nil {
		return nil, err
	}
	account, err := accountFor(dir, data, secret)
	if err != nil {
		return nil, err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "--pgdata="+data, "--username=bench", "--pwfile="+secret,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-locale")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: account}
	if output, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, strings.TrimSpace(string(output)))
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	server := exec.Command(filepath.Join(programs, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(port),
		"-c", "unix_socket_directories=", "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "shared_buffers=256MB", "-c", "max_connections=100")
	server.Dir, server.SysProcAttr = dir, &syscall.SysProcAttr{Credential: account}
	config, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=bench password=%s dbname=postgres sslmode=disable", port, password))
	if err != nil {
		return nil, err
	}
	maps.Copy(config.RuntimeParams, plans)
	p = &postgres{config: config}
	if p.process, err = start(server); err != nil {
		return nil, err
	}
	err = p.process.await(ctx, func(ctx context.Context) error {
		c, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
	if err != nil {
		return nil, err
	}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// accountFor returns the account that PostgreSQL runs as, which refuses root: the user of
// this program or, for root, postgres or nobody. It gives the files to that account.
func accountFor(dir string, files ...string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("want an account named postgres or nobody: PostgreSQL does not run as root: %w", err)
		}
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	err = os.Chmod(dir, 0o711)
	for _, file := range files {
		err = errors.Join(err, os.Chown(file, int(uid), int(gid)))
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func freePort(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// prepare makes the table, and checks that acknowledged commits are durable.
func (p *postgres) prepare(ctx context.Context) (err error) {
	c, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := c.QueryRow(ctx, "SELECT current_setting($1)", setting).Scan(&value); err != nil {
			return err
		}
		if value != "on" {
			return fmt.Errorf("PostgreSQL: want %s on, found %s", setting, value)
		}
	}
	if err := c.QueryRow(ctx, "SELECT current_setting('server_version')").Scan(&p.version); err != nil {
		return err
	}
	number, _, _ := strings.Cut(p.version, " ") // the rest is the packager's
	p.version = "PostgreSQL " + number
	_, err = c.Exec(ctx, schema)
	return err
}

func (p *postgres) client(ctx context.Context, i int) (client, error) {
	c, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return nil, err
	}
	return &tableClient{conn: c, node: nodeName(i)}, nil
}

// settle does nothing: after an answer, only autovacuum and the checkpointer have work
// left, which they do at their own pace.
func (p *postgres) settle(context.Context) error { return nil }

func (p *postgres) cpu() (time.Duration, error) { return cpuOf(p.process.command.Process.Pid) }

// stop ends the server in its fast mode.
func (p *postgres) stop() error { return p.process.stop(syscall.SIGINT) }
