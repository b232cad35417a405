package broker_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"go.uber.org/goleak"

	"parley/hub/broker"
	"parley/hub/broker/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	brokertest.Run(t, func(testing.TB) []broker.Broker {
		return []broker.Broker{broker.NewMemory(broker.MemoryConfig{})}
	})
}

var samples = []*broker.Message{
	{},
	{Kind: 2, Conversation: "conv_a", Seq: 1 << 40, Frame: []byte("\x81\x02{}"), To: []broker.Target{{Topic: "u:ann"}}},
	{Seq: -1, To: []broker.Target{{Topic: "u:ann", Device: "dev_a", NotSession: "ses_1"}, {Topic: "u:ben", NotSession: "ses_2", NotDevice: "dev_b"}}},
}

func TestCodec_GivesBackWhatWentIn(t *testing.T) {
	for i, m := range samples {
		got, err := broker.Decode(broker.Encode(m))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Frame) == 0 {
			got.Frame = m.Frame
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%d: got %+v, want %+v", i, got, m)
		}
	}
}

// FuzzDecode: nothing panics, what is refused is refused with ErrMessage, and
// what is taken encodes to something that decodes the same.
func FuzzDecode(f *testing.F) {
	for _, m := range samples {
		f.Add(broker.Encode(m))
	}
	f.Add([]byte{1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := broker.Decode(data)
		if err != nil {
			if !errors.Is(err, broker.ErrMessage) {
				t.Fatal(err)
			}
			return
		}
		again, err := broker.Decode(broker.Encode(m))
		if err != nil || !bytes.Equal(again.Frame, m.Frame) || !reflect.DeepEqual(again.To, m.To) || again.Seq != m.Seq {
			t.Fatalf("%+v then %+v: %v", m, again, err)
		}
	})
}
