//go:build !opus

package opus

// Available reports whether this binary can encode and decode.
const Available = false

// Encoder needs the build tag opus.
type Encoder struct{}

// NewEncoder returns ErrUnavailable.
func NewEncoder(int) (*Encoder, error) { return nil, ErrUnavailable }

// Encode returns ErrUnavailable.
func (*Encoder) Encode([]int16) ([]byte, error) { return nil, ErrUnavailable }

// Decoder needs the build tag opus.
type Decoder struct{}

// NewDecoder returns ErrUnavailable.
func NewDecoder() (*Decoder, error) { return nil, ErrUnavailable }

// Decode returns ErrUnavailable.
func (*Decoder) Decode([]byte) ([]int16, error) { return nil, ErrUnavailable }

// Conceal returns ErrUnavailable.
func (*Decoder) Conceal() ([]int16, error) { return nil, ErrUnavailable }
