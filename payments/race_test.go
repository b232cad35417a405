package payments_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/payments"
)

func TestRefund_ManyAtOnceNeverExceedTheCapture(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.captured(10_000)
		var ok atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := w.Refund(t.Context(), w.as("seller"), p.ID, 1_500)
				if err == nil {
					ok.Add(1)
				} else if !errors.Is(err, payments.ErrTooMuch) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := w.get(p.ID); ok.Load() != 6 || got.Refunded != 9_000 || w.available("buyer") != 49_000 {
			t.Errorf("%d refunds, %+v, buyer has %d", ok.Load(), got, w.available("buyer"))
		}
	})
}

func TestHold_IsResolvedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 5 {
			p := w.held(1_000, payments.ConfirmNone)
			var ok atomic.Int64
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					var err error
					switch i % 3 {
					case 0:
						_, err = w.Capture(t.Context(), w.as("server"), p.ID, 0)
					case 1:
						_, err = w.Void(t.Context(), w.as("buyer"), p.ID)
					default:
						_, err = w.Cancel(t.Context(), w.as("seller"), p.ID)
					}
					if err == nil {
						ok.Add(1)
					} else if !errors.Is(err, payments.ErrState) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if ok.Load() != 1 {
				t.Errorf("resolved %d times", ok.Load())
			}
		}
		if held := w.posted("user:buyer:held"); held != 0 {
			t.Errorf("%d still held", held)
		}
	})
}

// TestPayments_ManyClientsOnFewKeepTheirAmounts lets many clients capture,
// extend, reduce, refund, dispute and void the same few payments at once. What
// they were told adds up to what the accounts have.
func TestPayments_ManyClientsOnFewKeepTheirAmounts(t *testing.T) {
	rule := payments.FeeRule{BasisPoints: 250, Fixed: 7, PaidBy: payments.FeeByPayer}
	feeWorld(t, rule, func(t *testing.T, w *world) {
		w.fund("seller", 5_000) // so that refunds are refused for the payment's sake, never for the funds
		var ids []string
		for range 3 {
			ids = append(ids, w.held(10_000, payments.ConfirmNone).ID)
		}
		var wg sync.WaitGroup
		for client := range 24 {
			dice := rand.New(rand.NewPCG(uint64(client), 7)) //nolint:gosec // a test's dice
			wg.Go(func() {
				for range 8 {
					if err := w.disturb(dice, ids[dice.IntN(len(ids))]); err != nil && !refused(err) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var held, paid, received, fees, reserved int64
		for _, id := range ids {
			p := w.get(id)
			held += p.Held
			paid += p.Held + p.Captured + p.Fee - p.Refunded - p.FeeRefunded
			received += p.Captured - p.Refunded - p.Reserved
			fees += p.Fee - p.FeeRefunded
			reserved += p.Reserved
			if p.Refunded > p.Captured || p.Captured > p.Amount || p.Fee != rule.Of(p.Captured) {
				t.Errorf("%+v", p)
			}
		}
		for account, want := range map[string]int64{
			"user:buyer:held": held, "user:buyer:available": 50_000 - paid, "user:seller:available": 5_000 + received,
			"user:seller:disputed": reserved, "fees": fees,
		} {
			if got := w.posted(account); got != want {
				t.Errorf("%s has %d, the payments say %d", account, got, want)
			}
		}
	})
}

// disturb does one random thing to a payment.
func (w *world) disturb(dice *rand.Rand, id string) (err error) {
	ctx, amount := w.t.Context(), 1+dice.Int64N(2_000)
	switch dice.IntN(16) {
	case 0:
		_, err = w.Void(ctx, w.as("buyer"), id)
	case 1:
		_, err = w.Report(ctx, w.as("buyer"), id)
	case 2:
		_, err = w.Resolve(ctx, w.as("server"), id, payments.Payee)
	case 3:
		_, err = w.Resolve(ctx, w.as("server"), id, payments.Payer)
	case 4, 5:
		_, err = w.Extend(ctx, w.as("buyer"), id, time.Duration(8+dice.IntN(15))*24*time.Hour)
	case 6, 7:
		_, err = w.Reduce(ctx, w.as("seller"), id, amount+3_000)
	case 8, 9, 10:
		_, err = w.Refund(ctx, w.as("seller"), id, amount)
	default:
		_, err = w.CapturePart(ctx, w.as("server"), id, amount)
	}
	return err
}

// refused reports whether err is a refusal that depends on what others did meanwhile.
func refused(err error) bool {
	return slices.ContainsFunc([]error{payments.ErrState, payments.ErrTooMuch, payments.ErrInput}, func(known error) bool { return errors.Is(err, known) })
}

func TestExtend_AndExpiryAtOnceAreDecidedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 5 {
			p := w.held(1_000, payments.ConfirmNone)
			w.clock.Advance(7*24*time.Hour - time.Millisecond)
			var extended atomic.Int64
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					if i%2 == 0 {
						w.clock.Advance(time.Millisecond)
						w.sweep()
						return
					}
					_, err := w.Extend(t.Context(), w.as("buyer"), p.ID, 10*24*time.Hour)
					switch {
					case err == nil:
						extended.Add(1)
					case !errors.Is(err, payments.ErrHoldExpired) && !errors.Is(err, payments.ErrState) && !errors.Is(err, payments.ErrInput):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			want := payments.Voided
			if extended.Load() > 0 {
				want = payments.Held
			}
			if got := w.get(p.ID); got.State != want {
				t.Errorf("extended %d times, but %s", extended.Load(), got.State)
			}
		}
	})
}
