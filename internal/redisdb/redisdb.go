// Package redisdb opens the connection to Redis that the parts of a node share:
// one server, a master watched by Sentinels, or a Cluster. It owns addresses,
// credentials and time limits, and knows nothing of what is kept there.
package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Client is the connection, under a name that does not need the library.
type Client = redis.UniversalClient

// Config says where Redis is.
type Config struct {
	// URLs are redis://[user:password@]host:port[/db] or rediss:// for TLS, or
	// bare host:port: one server, or several Sentinels or Cluster nodes to begin with.
	URLs []string
	// Master is the name of the master that the Sentinels at URLs watch; empty: no Sentinels.
	Master string
	// Cluster says that URLs are nodes of a Redis Cluster.
	Cluster bool
	// Password, if set, is used instead of the one in the URLs.
	Password string
}

// ErrConfig says that a Config makes no sense.
var ErrConfig = errors.New("redisdb: configuration")

// timeLimit bounds connecting and every command: whoever waits on Redis longer
// is better off without it.
const timeLimit = 2 * time.Second

// Open returns a client; nothing is connected yet. It retries nothing by
// itself, except for the redirections of a Cluster: what a failure means is
// known where the command is issued. Errors wrap ErrConfig.
func Open(cfg Config) (Client, error) {
	silence()
	opts := &redis.UniversalOptions{
		MasterName: cfg.Master, Protocol: 2, MaxRetries: -1, MaxRedirects: 3,
		DialTimeout: timeLimit, DialerRetries: 1, ReadTimeout: timeLimit, WriteTimeout: timeLimit, PoolTimeout: timeLimit,
		ContextTimeoutEnabled: true, DisableIdentity: true, FailingTimeoutSeconds: 1, PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if cfg.Cluster && cfg.Master != "" {
		return nil, fmt.Errorf("%w: a Cluster has no Sentinels", ErrConfig)
	}
	for _, text := range cfg.URLs {
		if err := addURL(opts, text); err != nil {
			return nil, err
		}
	}
	if len(opts.Addrs) == 0 {
		return nil, fmt.Errorf("%w: no address", ErrConfig)
	}
	if cfg.Password != "" {
		opts.Password = cfg.Password
	}
	switch {
	case cfg.Cluster:
		return redis.NewClusterClient(opts.Cluster()), nil
	case cfg.Master != "":
		return redis.NewFailoverClient(opts.Failover()), nil
	case len(opts.Addrs) > 1:
		return nil, fmt.Errorf("%w: several addresses are a Cluster or Sentinels: say which", ErrConfig)
	}
	return redis.NewClient(opts.Simple()), nil
}

func addURL(opts *redis.UniversalOptions, text string) error {
	if !strings.Contains(text, "://") {
		opts.Addrs = append(opts.Addrs, text)
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "redis" && u.Scheme != "rediss" {
		return fmt.Errorf("%w: an address is redis://host:port or rediss://host:port", ErrConfig) // without the text: it may hold a password
	}
	addr := u.Host
	if u.Port() == "" {
		addr += ":6379"
	}
	opts.Addrs = append(opts.Addrs, addr)
	if u.Scheme == "rediss" {
		opts.TLSConfig = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	if u.User != nil {
		opts.Username = u.User.Username()
		opts.Password, _ = u.User.Password()
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		if opts.DB, err = strconv.Atoi(db); err != nil {
			return fmt.Errorf("%w: the path of an address is the number of a database", ErrConfig)
		}
	}
	return nil
}

// silence keeps the library from writing to standard error: every failure it
// speaks of comes back as an error, too.
var silence = sync.OnceFunc(func() { redis.SetLogger(quiet{}) })

type quiet struct{}

// Printf implements the library's logger.
func (quiet) Printf(context.Context, string, ...any) {}
