package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"

	"parley/internal/app"
	"parley/internal/config"
	"parley/internal/obs"
	"parley/wire"
)

// configFlags are shared by the commands that read a configuration.
type configFlags struct {
	Config string   `help:"YAML file." short:"c" type:"existingfile" placeholder:"FILE"`
	Set    []string `help:"Override a value; may be given several times." placeholder:"KEY=VALUE" sep:"none"`
}

func (f configFlags) load(p *program) (config.Config, error) {
	return config.Load(f.Config, p.Env, f.Set)
}

type serveCommand struct {
	configFlags
}

// Run implements the command.
func (c serveCommand) Run(ctx context.Context, p *program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	log, err := obs.NewLogger(p.Stderr, cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return err
	}
	node, err := app.New(ctx, app.Options{Config: cfg, Log: log})
	if err != nil {
		return err
	}
	return node.Run(ctx, func(info app.Info) error {
		log.Info("ready", "url", info.URL, "version", app.Version)
		return nil
	})
}

type devCommand struct {
	Port      int      `help:"Port to listen on; 0 takes a free one." default:"8080"`
	Dir       string   `help:"Folder for the node's files." default:".parley" type:"path"`
	Ephemeral bool     `help:"Keep everything in a temporary folder that goes away with the process."`
	JSON      bool     `help:"Print one JSON line when ready, and logs as JSON." name:"json"`
	Verbose   bool     `help:"Log at debug level." short:"v"`
	Set       []string `help:"Override a configuration value." placeholder:"KEY=VALUE" sep:"none"`
}

// Run implements the command.
func (c devCommand) Run(ctx context.Context, p *program) error {
	dir, cleanup, err := c.folder()
	if err != nil {
		return err
	}
	defer cleanup()
	cfg, err := config.Load("", p.Env, append(app.DevSettings(dir, c.Port), c.Set...))
	if err != nil {
		return err
	}
	log, err := c.logger(p)
	if err != nil {
		return err
	}
	node, err := app.New(ctx, app.Options{Config: cfg, Dev: true, Log: log})
	if err != nil {
		return err
	}
	return node.Run(ctx, func(info app.Info) error {
		if c.JSON {
			return json.NewEncoder(p.Stdout).Encode(info)
		}
		return printWelcome(p, info)
	})
}

func (c devCommand) folder() (dir string, cleanup func(), err error) {
	if !c.Ephemeral {
		return c.Dir, func() {}, os.MkdirAll(c.Dir, 0o700)
	}
	dir, err = os.MkdirTemp("", "parley-dev-")
	return dir, func() { _ = os.RemoveAll(dir) }, err // best effort: the system empties its temporary folder too
}

func (c devCommand) logger(p *program) (*slog.Logger, error) {
	level, format := "warn", "text"
	if c.Verbose {
		level = "debug"
	}
	if c.JSON {
		format = "json"
	}
	return obs.NewLogger(p.Stderr, level, format)
}

func printWelcome(p *program, info app.Info) error {
	w := tabwriter.NewWriter(p.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "Parley %s is ready. Open two of these links side by side:\n\n", app.Version)
	for _, u := range info.Users {
		fmt.Fprintf(w, "  %s\t%s\n", u.Name, u.Link)
	}
	fmt.Fprintf(w, "\n  Console\t%s\n  Reference\t%s/docs\n  Server key\t%s\n", info.ConsoleLink, info.URL, info.Keys.Secret)
	fmt.Fprint(w, "\nThis is dev mode: fixed keys, play money, and relaying to this machine is allowed. Stop with Ctrl-C.\n")
	return w.Flush()
}

type configCommand struct {
	configFlags
	Markdown bool `help:"Print the reference of all keys with their defaults instead."`
}

// Run implements the command.
func (c configCommand) Run(p *program) error {
	if c.Markdown {
		return config.WriteReference(p.Stdout)
	}
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	return config.Write(p.Stdout, &cfg)
}

type openapiCommand struct{}

// Run implements the command.
func (openapiCommand) Run(p *program) error {
	doc, err := app.OpenAPI()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.Stdout, string(doc))
	return err
}

type tokenCommand struct {
	configFlags
	User    string   `arg:"" help:"User id."`
	Name    string   `help:"Name that others see."`
	TTL     string   `help:"How long the token is good." default:"1h"`
	Join    []string `help:"Pattern of open topics that the user may join, such as prices:*." placeholder:"PATTERN"`
	Publish []string `help:"Pattern of open topics that the user may publish to." placeholder:"PATTERN"`
	Dev     bool     `help:"Use the keys of parley dev."`
}

// Run implements the command.
func (c tokenCommand) Run(p *program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	var grants *wire.TopicGrants
	if len(c.Join)+len(c.Publish) > 0 {
		grants = &wire.TopicGrants{Join: c.Join, Publish: c.Publish}
	}
	token, err := app.MintToken(cfg, c.Dev, c.User, c.Name, c.TTL, grants)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.Stdout, token)
	return err
}

type doctorCommand struct {
	configFlags
}

// Run implements the command.
func (c doctorCommand) Run(ctx context.Context, p *program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	if ok := app.Doctor(ctx, cfg, p.Stdout); !ok {
		return errors.New("some checks failed; each line above says what to do")
	}
	return nil
}
