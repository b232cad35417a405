package hub_test

import (
	"strings"
	"sync"
	"testing"

	"parley/hub"
)

// tapped collects what a tap shows.
type tapped struct {
	mu    sync.Mutex
	lines []string
}

func (l *tapped) take(m hub.Tapped) {
	l.mu.Lock()
	defer l.mu.Unlock()
	way := "out "
	if m.In {
		way = "in "
	}
	l.lines = append(l.lines, way+string(m.User)+" "+string(m.Device)+" "+string(m.JSON))
}

func (l *tapped) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func TestTap_ShowsOneUsersMessagesUntilItIsStopped(t *testing.T) {
	n := startNode(t, newWorld())
	ann, _ := n.open("ann", "a", nil)
	bob, _ := n.open("bob", "b", nil)
	var one, other tapped
	stop := n.Tap("ann", one.take)
	stopOther := n.Tap("ann", other.take)
	ann.call("echo", []string{"first"})
	bob.call("echo", []string{"bob"})
	stop()
	ann.call("echo", []string{"second"})
	stopOther()
	ann.call("echo", []string{"third"})
	if one.count("in ann") != 1 || one.count("out ann") != 1 || one.count("first") != 2 || one.count("second") != 0 {
		t.Errorf("the first tap saw %q", one.lines)
	}
	if other.count("first") != 2 || other.count("second") != 2 || other.count("third") != 0 || other.count("bob") != 0 {
		t.Errorf("the second tap saw %q", other.lines)
	}
}
