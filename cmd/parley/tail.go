package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"parley/internal/app"
)

// tailCommand shows what goes over one user's sockets, on any node.
type tailCommand struct {
	nodeFlags
	User   string `arg:"" help:"User id."`
	Bodies bool   `help:"Show what the messages say, without secrets. The nodes' logs say that you looked, either way."`
	JSON   bool   `help:"Print lines of JSON." name:"json"`
}

// Run implements the command: it goes on until it is interrupted.
func (c tailCommand) Run(ctx context.Context, p *program) error {
	at := c.URL + "/v1/users/" + url.PathEscape(c.User) + "/tail"
	if c.Bodies {
		at += "?bodies=true"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // what there is of it
		return fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := c.print(p, lines.Bytes()); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // interrupted
	}
	return lines.Err()
}

func (c tailCommand) print(p *program, text []byte) error {
	if len(text) == 0 {
		return nil // a sign of life
	}
	if c.JSON {
		_, err := fmt.Fprintf(p.Stdout, "%s\n", text)
		return err
	}
	var l app.TailLine
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	at := ""
	if l.Seq > 0 {
		at = fmt.Sprintf(" %s #%d", l.Conversation, l.Seq)
	}
	_, err := fmt.Fprintf(p.Stdout, "%s %-3s %s %s %s%s %d bytes %s\n", l.Time.Local().Format("15:04:05.000"), l.Way, l.Node, l.Device, l.What, at, l.Bytes, l.Body)
	return err
}
