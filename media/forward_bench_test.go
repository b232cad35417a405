package media_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/media"
	"parley/wire"
)

// serverEnv makes the test binary an SFU that is spoken to over stdin and
// stdout, so that what it spends is not mixed with what its clients spend.
const serverEnv = "PARLEY_MEDIA_BENCH_SERVER"

type benchRequest struct {
	Room  wire.CallID
	User  string
	Offer string // empty: only the usage is asked for
}

type benchReply struct {
	Answer, Error string
	CPU           time.Duration // user and system
	RSS           int64         // bytes, 0 where there is no /proc
	Out           uint64        // packets forwarded
}

// serveBench is the server's side.
func serveBench() error {
	s, err := media.New(media.Config{FullICE: true}, media.Deps{})
	if err != nil {
		return err
	}
	if path := os.Getenv("PARLEY_MEDIA_BENCH_PROFILE"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { err = s.Run(ctx) })
	defer running.Wait()
	defer cancel()
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var req benchRequest
		if err := in.Decode(&req); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		reply := usage(s)
		if req.Offer != "" {
			if reply.Answer, _, err = s.Join(ctx, req.Room, as(req.User), req.Offer); err != nil {
				reply.Error = err.Error()
			}
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
}

func usage(s *media.SFU) benchReply {
	var r benchReply
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err == nil {
		r.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size, resident int64
		_, _ = fmt.Sscan(string(statm), &size, &resident)
		r.RSS = resident * int64(os.Getpagesize())
	}
	for _, room := range s.Rooms() {
		for _, p := range room.Participants {
			r.Out += p.PacketsOut
		}
	}
	return r
}

// benchServer is the client's side.
type benchServer struct {
	in  *json.Encoder
	out *json.Decoder
}

func startBenchServer(b *testing.B) *benchServer {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	return &benchServer{json.NewEncoder(in), json.NewDecoder(out)}
}

func (s *benchServer) ask(b *testing.B, req benchRequest) benchReply {
	b.Helper()
	var r benchReply
	if err := s.in.Encode(req); err != nil {
		b.Fatal(err)
	}
	if err := s.out.Decode(&r); err != nil || r.Error != "" {
		b.Fatal(err, r.Error)
	}
	return r
}

// BenchmarkForward runs rooms of people who all talk, 50 packets a second each,
// and reports what one forwarded packet costs the server's process.
func BenchmarkForward(b *testing.B) {
	for _, size := range []struct{ rooms, people int }{{10, 5}, {25, 2}} {
		b.Run(fmt.Sprintf("rooms=%d/people=%d", size.rooms, size.people), func(b *testing.B) {
			s := startBenchServer(b)
			empty := s.ask(b, benchRequest{})
			var crowd []*client
			for i := range size.rooms * size.people {
				id := wire.CallID(fmt.Sprintf("call_%d", i/size.people))
				crowd = append(crowd, s.seat(b, id, fmt.Sprintf("p%d", i), size.people-1))
			}
			defer chatter(b, crowd)()
			before := s.ask(b, benchRequest{})
			began := time.Now()
			for b.Loop() {
				<-crowd[0].heard
			}
			took, after := time.Since(began), s.ask(b, benchRequest{})
			packets := float64(after.Out - before.Out)
			b.ReportMetric(float64((after.CPU-before.CPU).Nanoseconds())/packets/1000, "server_us/packet")
			b.ReportMetric(packets/took.Seconds(), "packets/s")
			b.ReportMetric(float64(after.RSS-empty.RSS)/1e6/float64(len(crowd)), "MB/person")
		})
	}
}

// seat takes a client into a room of the server.
func (s *benchServer) seat(b *testing.B, id wire.CallID, name string, slots int) *client {
	b.Helper()
	c, offer := newClient(b, name, slots)
	reply := s.ask(b, benchRequest{id, name, offer})
	c.accept(b, reply.Answer)
	c.await(b)
	return c
}

// chatter makes everybody talk, evenly spread over the 20 ms.
func chatter(b *testing.B, crowd []*client) (stop func()) {
	var stops []func()
	for _, c := range crowd {
		stops = append(stops, c.talk(b, 20*time.Millisecond))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
