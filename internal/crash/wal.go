package crash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// The layout of SQLite's write-ahead log (https://sqlite.org/fileformat2.html#walformat):
// a header, then frames of a header and a page. A frame belongs to the log when
// its salts are the header's and its checksum, which runs over everything before
// it, is right; a transaction is there when its last frame is, the one whose
// header tells the size of the database.
const (
	walHeader   = 32
	frameHeader = 24
	walPageSize = 8   // offset of the page size in the log's header
	walSalts    = 16  // offset of the two salts in the log's header
	frameCommit = 4   // offset of the database's size in a frame's header
	frameSalts  = 8   // offset of the two salts in a frame's header
	shmMoved    = 128 // offset in the index of up to where frames were being moved to the database
)

// Position is how far a write-ahead log reached at one moment.
type Position struct {
	salts uint64 // names the log's generation: it begins anew under others
	end   int64  // offset behind its last frame
}

// LogPosition reads how far the log of the database at path reaches. Asked
// right after an acknowledgement, everything acknowledged so far stands before it.
func LogPosition(path string) (Position, error) {
	f, err := os.Open(path + "-wal") //nolint:gosec // a test's database
	if err != nil {
		return Position{}, err
	}
	defer func() { _ = f.Close() }() // only read
	p, _, err := walk(f)
	return p, err
}

// walk reads the headers of the frames that carry the log's salts, and which of them end a transaction.
func walk(f io.ReaderAt) (p Position, commits []bool, err error) {
	var head [walHeader]byte
	if _, err := f.ReadAt(head[:], 0); errors.Is(err, io.EOF) {
		return Position{}, nil, nil // no log yet
	} else if err != nil {
		return Position{}, nil, err
	}
	p = Position{salts: binary.BigEndian.Uint64(head[walSalts:]), end: walHeader}
	size := frameHeader + int64(binary.BigEndian.Uint32(head[walPageSize:]))
	var frame [frameHeader]byte
	for {
		_, err := f.ReadAt(frame[:], p.end)
		if errors.Is(err, io.EOF) || err == nil && binary.BigEndian.Uint64(frame[frameSalts:]) != p.salts {
			return p, commits, nil
		}
		if err != nil {
			return p, commits, err
		}
		commits = append(commits, binary.BigEndian.Uint32(frame[frameCommit:]) != 0)
		p.end += size
	}
}

// Image is a copy of a database and its log, taken while both were open and
// nobody wrote.
type Image struct {
	db, wal []byte
	at      Position
	commits []bool
	frame   int64 // bytes of a frame
	moved   int64 // frames that a checkpoint has moved, or was about to: they were synced before
}

// TakeImage copies the database at path. Nobody may commit meanwhile; a
// checkpoint may be under way, which is why the index is read last.
func TakeImage(path string) (*Image, error) {
	im := &Image{}
	var err error
	if im.db, err = os.ReadFile(path); err != nil { //nolint:gosec // a test's database
		return nil, err
	}
	if im.wal, err = os.ReadFile(path + "-wal"); err != nil {
		return nil, err
	}
	index, err := os.ReadFile(path + "-shm")
	if err != nil {
		return nil, err
	}
	if im.at, im.commits, err = walk(bytesAt(im.wal)); err != nil {
		return nil, err
	}
	if len(im.wal) < walHeader || len(index) < shmMoved+4 {
		return nil, fmt.Errorf("log of %d bytes, index of %d", len(im.wal), len(index))
	}
	im.frame = frameHeader + int64(binary.BigEndian.Uint32(im.wal[walPageSize:]))
	im.moved = int64(binary.NativeEndian.Uint32(index[shmMoved:]))
	return im, nil
}

// bytesAt reads from a slice.
type bytesAt []byte

// ReadAt implements io.ReaderAt.
func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off > int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Frames is how many frames the log has.
func (im *Image) Frames() int { return len(im.commits) }

// Cut says what of a log was lost with the power.
type Cut struct {
	// At is the offset from which on nothing had reached the disk for certain.
	At int64
	// Where names the place of At, Tail what is found behind it.
	Where, Tail string
}

func (c Cut) String() string { return fmt.Sprintf("cut at %d (%s), tail %s", c.At, c.Where, c.Tail) }

// places are where a cut may be, as an offset inside a frame.
var places = []struct {
	name string
	in   func(r *rand.Rand, frame int64) int64
}{
	{"before a frame", func(*rand.Rand, int64) int64 { return 0 }},
	{"inside a frame's header", func(r *rand.Rand, _ int64) int64 { return 1 + r.Int64N(frameHeader-1) }},
	{"behind a frame's header", func(*rand.Rand, int64) int64 { return frameHeader }},
	{"inside a page", func(r *rand.Rand, frame int64) int64 { return frameHeader + 1 + r.Int64N(frame-frameHeader-2) }},
	{"at a sector inside a page", func(r *rand.Rand, frame int64) int64 { return (1 + r.Int64N(frame/sector-1)) * sector }},
	{"at a page's last byte", func(_ *rand.Rand, frame int64) int64 { return frame - 1 }},
}

// sector is what a disk writes at once.
const sector = 512

// tails are what may be found behind a cut: a disk that lost its power has
// written any of the sectors that it had not been told to keep, in any order.
var tails = []struct {
	name  string
	spoil func(r *rand.Rand, tail []byte) []byte
}{
	{"missing", func(*rand.Rand, []byte) []byte { return nil }},
	{"zeros", func(_ *rand.Rand, tail []byte) []byte { clear(tail); return tail }},
	{"garbage", func(r *rand.Rand, tail []byte) []byte {
		for i := range tail {
			tail[i] = byte(r.Uint32())
		}
		return tail
	}},
	{"some sectors", func(r *rand.Rand, tail []byte) []byte {
		for at := 0; at < len(tail); at += sector {
			if at == 0 || r.IntN(2) == 0 {
				clear(tail[at:min(at+sector, len(tail))])
			}
		}
		return tail
	}},
	{"one bit turned", func(r *rand.Rand, tail []byte) []byte {
		tail[0] ^= 1 << r.IntN(8)
		return tail
	}},
	{"zeroed page", func(_ *rand.Rand, tail []byte) []byte { clear(tail[:min(4096, len(tail))]); return tail }},
}

// RandomCut chooses a place in the log and what is behind it. Every other cut is
// in or around a frame that ends a transaction. Frames that were moved to the
// database are never cut: the log is synced before.
func (im *Image) RandomCut(r *rand.Rand) Cut {
	frame := im.moved + r.Int64N(int64(len(im.commits))-im.moved+1)
	if r.IntN(2) == 0 {
		for frame < int64(len(im.commits)) && !im.commits[frame] {
			frame++
		}
	}
	place, tail := places[r.IntN(len(places))], tails[r.IntN(len(tails))]
	c := Cut{At: walHeader + frame*im.frame + place.in(r, im.frame), Where: place.name, Tail: tail.name}
	if frame < int64(len(im.commits)) && im.commits[frame] {
		c.Where += " that commits"
	}
	c.At = min(c.At, int64(len(im.wal)))
	return c
}

// Uncut loses nothing.
func (im *Image) Uncut() Cut {
	return Cut{At: int64(len(im.wal)), Where: "at the end", Tail: "missing"}
}

// Keeps reports whether what was acknowledged at p must survive the cut. A
// commit is acknowledged after its last frame was synced, so all that stands
// before p is on the disk, whatever is behind it. A log of earlier salts was
// moved to the database, and synced there, before its place was used again.
func (im *Image) Keeps(p Position, c Cut) bool { return p.salts != im.at.salts || p.end <= c.At }

// Write puts the database and what the cut left of its log at path.
func (im *Image) Write(path string, c Cut, r *rand.Rand) error {
	wal := append([]byte(nil), im.wal...)
	if tail := wal[c.At:]; len(tail) > 0 {
		for _, known := range tails {
			if known.name == c.Tail {
				wal = append(wal[:c.At], known.spoil(r, tail)...)
			}
		}
	}
	return write(path, im.db, wal)
}

// WriteTorn puts at path what is left when the power fails while the log is
// being moved to the database: each sector of the database is as it was or as it
// is in moved, the database after the move, and the log is whole, because it was
// synced before.
func (im *Image) WriteTorn(path string, moved []byte, r *rand.Rand) error {
	db := append([]byte(nil), moved...)
	for at := 0; at < len(db); at += sector {
		end := min(at+sector, len(db))
		if r.IntN(2) == 0 {
			clear(db[at:end]) // of a file that grew, not written yet
			if at < len(im.db) {
				copy(db[at:end], im.db[at:])
			}
		}
	}
	if len(db) > len(im.db) {
		db = db[:len(im.db)+r.IntN(len(db)-len(im.db)+1)]
	}
	return write(path, db, im.wal)
}

func write(path string, db, wal []byte) error {
	return errors.Join(os.WriteFile(path, db, 0o600), os.WriteFile(path+"-wal", wal, 0o600))
}
