package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"parley/wire"
)

// perWorker is how many sockets one process holds: these have at most 20,000
// descriptors on some machines, and a node needs as many at the other end.
const perWorker = 10_000

// order is what a worker is told, one JSON line each.
type order struct {
	Do string `json:"do"` // open, cut, connect, storm, meet, talk, report
	// SocketURLs are the nodes' own; placeOf says who is where.
	SocketURLs []string `json:"socket_urls,omitempty"`
	First      int      `json:"first,omitempty"`
	Deflate    bool     `json:"deflate,omitempty"`
	Count      int      `json:"count,omitempty"`
	// AtOnce bounds how many connect or meet at the same time: of all workers as
	// the fleet is told, of each as tell hands it on.
	AtOnce int `json:"at_once,omitempty"`
	// SpreadMS is the jitter of a storm: each socket waits a random part of it.
	SpreadMS int `json:"spread_ms,omitempty"`
	// EveryMS is how long a turn of talking takes, ForMS all of them.
	EveryMS int `json:"every_ms,omitempty"`
	ForMS   int `json:"for_ms,omitempty"`
}

// account is a worker's answer.
type account struct {
	Open    int64            `json:"open"`    // sockets that are open now
	OpenAt  []int64          `json:"open_at"` // the same by node
	Dropped int64            `json:"dropped"` // ended by the node since the last order
	Retries int64            `json:"retries"`
	Errors  int64            `json:"errors"`
	Said    map[string]int64 `json:"said,omitempty"`
	TookUS  []int64          `json:"took_us"` // from the first try to the open session, of each
	Error   string           `json:"error,omitempty"`

	// Of the messages that the sockets sent each other.
	Sent      int64 `json:"sent"`
	Arrived   int64 `json:"arrived"`
	Doubled   int64 `json:"doubled"`
	Reordered int64 `json:"reordered"`
}

func (a *account) add(b account) {
	a.Open += b.Open
	a.OpenAt = append(a.OpenAt, make([]int64, max(0, len(b.OpenAt)-len(a.OpenAt)))...)
	for i, n := range b.OpenAt {
		a.OpenAt[i] += n
	}
	a.Dropped += b.Dropped
	a.Retries += b.Retries
	a.Errors += b.Errors
	a.Said = mergeSaid(a.Said, b.Said)
	a.TookUS = append(a.TookUS, b.TookUS...)
	a.Sent += b.Sent
	a.Arrived += b.Arrived
	a.Doubled += b.Doubled
	a.Reordered += b.Reordered
}

// Worker holds sockets for the process that started it: it takes orders from in
// and answers to out until in ends. token signs a user in.
func Worker(ctx context.Context, in io.Reader, out io.Writer, token func(wire.UserID) (string, error)) error {
	w := &worker{token: token}
	defer w.close()
	enc := json.NewEncoder(out)
	for dec := json.NewDecoder(in); ; {
		var o order
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("load: order: %w", err)
		}
		a, err := w.obey(ctx, o)
		if err != nil {
			a.Error = err.Error()
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
}

type worker struct {
	token   func(wire.UserID) (string, error)
	urls    []string
	first   int
	deflate bool
	tokens  []string
	sockets []*socket
	talk    *talk

	ending  atomic.Bool // sockets are being cut on purpose
	readers sync.WaitGroup
	open    []atomic.Int64 // by node
	dropped atomic.Int64
	retries atomic.Int64
	failed  failures
}

func (w *worker) obey(ctx context.Context, o order) (account, error) {
	switch o.Do {
	case "open":
		w.urls, w.first, w.deflate, w.open = o.SocketURLs, o.First, o.Deflate, make([]atomic.Int64, len(o.SocketURLs))
		w.tokens, w.sockets, w.talk = make([]string, o.Count), make([]*socket, o.Count), newTalk(o.Count)
		for i := range w.tokens {
			var err error
			if w.tokens[i], err = w.token(w.user(i)); err != nil {
				return account{}, err
			}
		}
		return w.connect(ctx, o.AtOnce, 0), nil
	case "cut":
		w.cut()
		return w.account(), nil
	case "connect":
		return w.connect(ctx, o.AtOnce, 0), nil
	case "meet":
		err := w.talk.meet(ctx, w.sockets, o.AtOnce)
		return w.account(), err
	case "talk":
		err := w.talk.run(ctx, w.sockets, time.Duration(o.EveryMS)*time.Millisecond, time.Duration(o.ForMS)*time.Millisecond)
		return w.account(), err
	case "storm":
		return w.connect(ctx, len(w.sockets), time.Duration(o.SpreadMS)*time.Millisecond), nil
	}
	return w.account(), nil
}

func (w *worker) user(i int) wire.UserID { return wire.UserID(fmt.Sprintf("load-%d", w.first+i)) }

func (w *worker) account() account {
	a := account{OpenAt: make([]int64, len(w.open)), Dropped: w.dropped.Swap(0), Retries: w.retries.Swap(0)}
	a.Errors, a.Said = w.failed.take()
	for i := range w.open {
		a.OpenAt[i] = w.open[i].Load()
		a.Open += a.OpenAt[i]
	}
	if t := w.talk; t != nil {
		a.Sent, a.Arrived, a.Doubled, a.Reordered = t.sent.Swap(0), t.arrived.Swap(0), t.doubled.Swap(0), t.reordered.Swap(0)
		n, said := t.failed.take()
		a.Errors += n
		a.Said = mergeSaid(a.Said, said)
	}
	return a
}

// connect opens every socket, atOnce at a time, each after a random part of spread.
func (w *worker) connect(ctx context.Context, atOnce int, spread time.Duration) account {
	took := make([]int64, len(w.sockets))
	places := make(chan struct{}, max(atOnce, 1))
	var wg sync.WaitGroup
	for i := range w.sockets {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			begun := time.Now()
			if spread > 0 {
				time.Sleep(rand.N(spread))
			}
			if w.one(ctx, i) {
				took[i] = time.Since(begun).Microseconds()
			}
		})
	}
	wg.Wait()
	a := w.account()
	a.TookUS = took
	return a
}

// patience is how long a socket tries to get in.
const patience = 60 * time.Second

// one opens socket i, trying again with a growing random pause as a client does.
func (w *worker) one(ctx context.Context, i int) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := ctx.Err()
	for try := 0; ctx.Err() == nil; try++ {
		var s *socket
		s, err = w.dial(ctx, i)
		if err == nil {
			w.sockets[i] = s
			open := &w.open[placeOf(w.first+i, len(w.urls))]
			open.Add(1)
			w.readers.Go(func() {
				_ = s.serve(func(_ *socket, m []byte) { w.talk.hear(i, m) })
				open.Add(-1)
				if !w.ending.Load() {
					w.dropped.Add(1)
				}
				s.cut()
			})
			return true
		}
		w.retries.Add(1)
		pause := rand.N(min(5*time.Second, 250*time.Millisecond<<min(try, 5)))
		var refused *errRefused
		if errors.As(err, &refused) {
			pause += refused.after / 2
		}
		time.Sleep(pause)
	}
	w.failed.add(fmt.Sprintf("not open in %v: %v", patience, plain(err)))
	return false
}

func (w *worker) dial(ctx context.Context, i int) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := dialSocket(ctx, w.urls[placeOf(w.first+i, len(w.urls))], w.first+i, w.user(i), w.deflate)
	if err != nil {
		return nil, err
	}
	if _, err := s.open(w.tokens[i], nil); err != nil {
		s.cut()
		return nil, err
	}
	return s, nil
}

// cut drops every socket and waits until their readers have ended.
func (w *worker) cut() {
	w.ending.Store(true)
	for _, s := range w.sockets {
		if s != nil {
			s.cut()
		}
	}
	w.readers.Wait()
	w.ending.Store(false)
}

func (w *worker) close() { w.cut() }

// fleet is sockets held by worker processes of this binary.
type fleet struct {
	workers []*workerProcess
}

type workerProcess struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	in    *json.Encoder
	out   *json.Decoder
	count int
	first int
}

// placeOf says on which node socket i is: the two of a pair, 2k and 2k+1, on
// different ones, each node having equally many and pairs with every other node.
func placeOf(i, nodes int) int {
	if nodes < 2 {
		return 0
	}
	pair := i / 2
	place := pair % nodes
	if i%2 == 1 {
		place += 1 + pair/nodes%(nodes-1)
	}
	return place % nodes
}

// evenly is the first of n sockets that part i of the given number of parts
// holds; no pair is parted.
func evenly(n, i, parts int) int {
	if i == parts {
		return n
	}
	return n * i / parts / 2 * 2
}

// WorkerArgs are the arguments that make this binary a worker.
var WorkerArgs = []string{"load", "worker"}

// newFleet starts the processes for n sockets.
func newFleet(ctx context.Context, n int) (*fleet, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fleet{}
	processes := max(1, (n+perWorker-1)/perWorker)
	for i := range processes {
		from, to := evenly(n, i, processes), evenly(n, i+1, processes)
		p := &workerProcess{cmd: exec.CommandContext(ctx, binary, WorkerArgs...), first: from, count: to - from}
		p.cmd.Stderr = os.Stderr
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if p.stdin, err = p.cmd.StdinPipe(); err == nil {
			var out io.ReadCloser
			if out, err = p.cmd.StdoutPipe(); err == nil {
				p.in, p.out = json.NewEncoder(p.stdin), json.NewDecoder(bufio.NewReader(out))
				err = p.cmd.Start()
			}
		}
		if err != nil {
			f.close()
			return nil, fmt.Errorf("load: worker: %w", err)
		}
		f.workers = append(f.workers, p)
	}
	return f, nil
}

// tell gives every worker the order and gathers their answers.
func (f *fleet) tell(o order) (account, error) {
	var mu sync.Mutex
	var sum account
	var errs []error
	var wg sync.WaitGroup
	for _, p := range f.workers {
		wg.Go(func() {
			mine := o
			mine.First, mine.Count, mine.AtOnce = p.first, p.count, max(1, o.AtOnce/len(f.workers))
			var a account
			err := p.in.Encode(mine)
			if err == nil {
				err = p.out.Decode(&a)
			}
			if err == nil && a.Error != "" {
				err = errors.New(a.Error)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.add(a)
			if err != nil {
				errs = append(errs, fmt.Errorf("load: worker: %w", err))
			}
		})
	}
	wg.Wait()
	return sum, errors.Join(errs...)
}

// close lets the workers go.
func (f *fleet) close() {
	for _, p := range f.workers {
		_ = p.stdin.Close() // they end with it
	}
	for _, p := range f.workers {
		_ = p.cmd.Wait() // its exit code is of no use here
	}
}

// times turns a worker's microseconds into samples.
func (a account) times() *samples {
	s := &samples{}
	for _, us := range a.TookUS {
		if us > 0 {
			s.list = append(s.list, time.Duration(us)*time.Microsecond)
		}
	}
	return s
}
