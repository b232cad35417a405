package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"parley/internal/cluster"
)

type nodesCommand struct {
	nodeFlags
	JSON bool `help:"Print JSON." name:"json"`
}

// Run implements the command.
func (c nodesCommand) Run(ctx context.Context, p *program) error {
	var list struct {
		Items []cluster.Node `json:"items"`
	}
	if err := c.rest().Do(ctx, http.MethodGet, "/v1/nodes", "", nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.Stdout).Encode(list.Items)
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tNAME\tADDRESS\tROLES\tVERSION\tUP\tSOCKETS\tPEOPLE\tROOMS\tRELAYS\tCPU\tSTATE")
	for _, n := range list.Items {
		state := "ready"
		if n.Load.Draining {
			state = "draining"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%.2f\t%s\n", n.ID, n.Name, n.Address, strings.Join(n.Roles, ","), n.Version,
			time.Since(n.Started).Round(time.Second), n.Load.Sockets, n.Load.People, n.Load.Rooms, n.Load.Relays, n.Load.CPU, state)
	}
	return w.Flush()
}
