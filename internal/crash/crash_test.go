package crash_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/crash"
)

func TestMain(m *testing.M) {
	crash.Main(crash.Roles{"counter": count, "mute": func([]string) error { return errors.New("on purpose") }})
	goleak.VerifyTestMain(m)
}

// count says numbers and then waits to be killed.
func count(args []string) error {
	for range len(args) {
		crash.Say("counted %s", args[0])
	}
	_, _ = os.Stdout.WriteString("unfinished") // as if killed in the middle
	crash.Wait()
	return nil
}

func TestChild_SaysWhatItSaidBeforeTheKill(t *testing.T) {
	c := crash.Start(t, "counter", "a", "b", "c")
	if got := c.Await(); got != "counted a" {
		t.Errorf("first %q", got)
	}
	if got := c.KillAfter(50 * time.Millisecond); !slices.Equal(got, []string{"counted a", "counted a"}) {
		t.Errorf("then %q", got)
	}
	if rest := c.Kill(); rest != nil {
		t.Errorf("after its end: %q", rest)
	}
}

func TestChild_EndsByItself(t *testing.T) {
	c := crash.Start(t, "mute")
	if line, ok := c.Next(); ok {
		t.Errorf("said %q", line)
	}
}

// pretend writes a log of three frames, the second and third of which commit,
// and a frame of an earlier generation behind them.
func pretend(t *testing.T, path string) []byte {
	t.Helper()
	const page = 1024
	wal := make([]byte, 32)
	binary.BigEndian.PutUint32(wal[8:], page)
	binary.BigEndian.PutUint64(wal[16:], 7)
	for i, commit := range []uint32{0, 2, 2, 2} {
		frame := bytes.Repeat([]byte{byte(i + 1)}, 24+page)
		binary.BigEndian.PutUint32(frame[4:], commit)
		binary.BigEndian.PutUint64(frame[8:], 7)
		if i == 3 {
			binary.BigEndian.PutUint64(frame[8:], 6)
		}
		wal = append(wal, frame...)
	}
	for name, data := range map[string][]byte{path: make([]byte, 2*page), path + "-wal": wal, path + "-shm": make([]byte, 200)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return wal
}

func TestImage_CutsOnlyBehindWhatItKeeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	wal := pretend(t, path)
	at, err := crash.LogPosition(path)
	if err != nil {
		t.Fatal(err)
	}
	im, err := crash.TakeImage(path)
	if err != nil || im.Frames() != 3 {
		t.Fatalf("%d frames, %v", im.Frames(), err)
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	kept := 0
	tails := map[string]bool{}
	for range 500 {
		c := im.RandomCut(random)
		if err := im.Write(path, c, random); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path + "-wal") //nolint:gosec // the test's own
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(got)) < c.At || !bytes.Equal(got[:c.At], wal[:c.At]) {
			t.Fatalf("%v: something before it changed", c)
		}
		if bytes.Equal(got, wal) {
			if c.At < int64(len(wal)) {
				t.Fatalf("%v: nothing was lost", c)
			}
		}
		if im.Keeps(at, c) {
			kept++
		}
		tails[c.Tail] = true
	}
	if kept == 0 || kept > 450 || len(tails) != 6 {
		t.Errorf("%d of 500 cuts are behind the end, tails %v", kept, tails)
	}
	if !im.Keeps(crash.Position{}, im.Uncut()) {
		t.Error("another generation is not kept")
	}
}

func TestLogPosition_OfNoLog(t *testing.T) {
	if _, err := crash.LogPosition(filepath.Join(t.TempDir(), "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
