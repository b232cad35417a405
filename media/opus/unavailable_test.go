//go:build !opus

package opus_test

import (
	"errors"
	"testing"
	"testing/fstest"
	"time"

	"parley/media/opus"
	"parley/media/opus/opustest"
)

func TestNewPrompt_WithoutLibopusSaysSo(t *testing.T) {
	if _, err := opus.NewPrompt("a", opus.Chime(opus.Tone{Hz: 440, Length: time.Second})); !errors.Is(err, opus.ErrUnavailable) || opus.Available {
		t.Errorf("got %v", err)
	}
}

func TestLoadLibrary_FilesNeedLibopus(t *testing.T) {
	tone := opus.Chime(opus.Tone{Hz: 440, Length: time.Second})
	_, err := opus.LoadLibrary(fstest.MapFS{"welcome.wav": {Data: opustest.WAV(48000, 1, tone)}})
	if !errors.Is(err, opus.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
