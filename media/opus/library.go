package opus

import (
	"bytes"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Library is the prompts that a server can play, by name.
type Library map[string]Prompt

// The built-in sounds, encoded once so that every binary has them: for each
// frame its length (two bytes, big endian) and its packet.
//
//go:embed prompts/*.frames
var builtin embed.FS

const (
	framesSuffix = ".frames"
	wavSuffix    = ".wav"
	maxWAV       = 64 << 20 // bytes: five minutes of stereo are 58 MB
)

// sounds are what the built-in prompts are made of.
func sounds() map[string][]int16 {
	const short, long = 160 * time.Millisecond, 240 * time.Millisecond
	return map[string][]int16{
		"joined":    Chime(Tone{660, short}, Tone{880, long}),
		"left":      Chime(Tone{880, short}, Tone{660, long}),
		"attention": Chime(Tone{880, short}, Tone{0, short}, Tone{880, short}),
	}
}

// LoadLibrary returns the built-in prompts (joined, left, attention) and those
// made of the WAV files in dir, if dir is not nil; a file takes the place of a
// built-in prompt of the same name. Errors: ErrUnavailable if there are files
// but no libopus, ErrSound.
func LoadLibrary(dir fs.FS) (Library, error) {
	lib, err := builtins()
	if err != nil || dir == nil {
		return lib, err
	}
	files, err := fs.Glob(dir, "*"+wavSuffix)
	if err != nil {
		return nil, fmt.Errorf("opus: prompts: %w", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), wavSuffix)
		if lib[name], err = load(dir, file, name); err != nil {
			return nil, fmt.Errorf("opus: prompt %s: %w", name, err)
		}
	}
	return lib, nil
}

func builtins() (Library, error) {
	files, err := fs.Glob(builtin, "prompts/*"+framesSuffix)
	if err != nil {
		return nil, fmt.Errorf("opus: prompts: %w", err)
	}
	lib := Library{}
	for _, file := range files {
		b, err := builtin.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("opus: prompts: %w", err)
		}
		name := strings.TrimSuffix(path.Base(file), framesSuffix)
		if lib[name], err = unpack(name, b); err != nil {
			return nil, err
		}
	}
	return lib, nil
}

func load(dir fs.FS, file, name string) (Prompt, error) {
	f, err := dir.Open(file)
	if err != nil {
		return Prompt{}, err
	}
	defer f.Close()
	pcm, err := ReadWAV(io.LimitReader(f, maxWAV))
	if err != nil {
		return Prompt{}, err
	}
	return NewPrompt(name, pcm)
}

// pack writes frames as the built-in files have them.
func pack(p Prompt) []byte {
	var b []byte
	for _, f := range p.Frames {
		b = binary.BigEndian.AppendUint16(b, uint16(len(f)))
		b = append(b, f...)
	}
	return b
}

func unpack(name string, b []byte) (Prompt, error) {
	p := Prompt{Name: name}
	for r := bytes.NewReader(b); r.Len() > 0; {
		var n uint16
		if err := binary.Read(r, binary.BigEndian, &n); err != nil || n == 0 || int(n) > r.Len() || n > MaxPacket {
			return Prompt{}, fmt.Errorf("%w: %s is not a file of frames", ErrSound, name)
		}
		frame := make([]byte, n)
		_, _ = io.ReadFull(r, frame) // there are so many
		p.Frames = append(p.Frames, frame)
	}
	return p, nil
}
