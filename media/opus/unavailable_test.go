//go:build !opus

package opus_test

import (
	"errors"
	"testing"

	"parley/media/opus"
)

func TestNewPrompt_WithoutLibopusSaysSo(t *testing.T) {
	if _, err := opus.NewPrompt("joined", opus.Joined()); !errors.Is(err, opus.ErrUnavailable) || opus.Available {
		t.Errorf("got %v", err)
	}
}
