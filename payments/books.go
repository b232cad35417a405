package payments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// ErrReserved says that an account or a transfer belongs to Parley: payments
// move it, the app may only look.
var ErrReserved = errors.New("reserved for payments")

// Books is the ledger as the app may use it with a server key: it opens
// accounts of its own, moves money between them and what users have available,
// and reads everything. What belongs to payments (what is held, disputed, on
// its way to a rail, or earned in fees) it cannot touch, so that every payment
// stays explained by its transfers.
type Books struct{ s *Service }

// Books returns the ledger's face for the app.
func (s *Service) Books() *Books { return &Books{s} }

const (
	appPrefix = "app:" // of the app's own accounts
	// appReference begins the references of what the app moved; a second slash
	// follows where the app gave none.
	appReference = "app/"
	appKind      = "app"
)

// Bounds of the app's transfers.
const (
	// LinkedMax bounds the transfers of one call.
	LinkedMax = 100
	// PendingMax is the longest that a pending transfer lasts, PendingFor how
	// long it does unless it says otherwise.
	PendingMax = 90 * 24 * time.Hour
	PendingFor = 7 * 24 * time.Hour

	referenceMax = 160
	noteMax      = 200
)

// Movement is one transfer that the app asks for.
type Movement struct {
	Legs []ledger.Posting
	// Pending only reserves; it is voided when ExpiresIn is over. 0 means PendingFor.
	Pending   bool
	ExpiresIn time.Duration
	// EffectiveAt is when it counts; zero means now.
	EffectiveAt time.Time
	// Reference is the app's own name for it, unique among all of the app's transfers.
	Reference string
	Note      string
}

// Move records transfers, all or none, and returns them. It returns ErrReserved,
// ErrPartyUnknown, one of the ledger's errors or one of idempotency keys.
func (b *Books) Move(ctx context.Context, a Actor, moves []Movement) ([]ledger.Entry, error) {
	if err := b.checkMoves(ctx, a, moves); err != nil {
		return nil, err
	}
	req := request{"operation": "ledger.move"}
	for i, m := range moves {
		m.describe(req, fmt.Sprintf("transfers[%d].", i))
	}
	now := b.s.now()
	group := make([]ledger.Transfer, len(moves))
	for i, m := range moves {
		group[i] = m.transfer(a, i, now)
	}
	return commitOnce(ctx, b.s, a, req, "", group, func(e []ledger.Entry) []ledger.Entry { return e })
}

// describe writes m into what two requests with one key must have in common.
func (m Movement) describe(req request, at string) {
	describeLegs(req, at, m.Legs)
	for name, value := range map[string]string{"reference": m.Reference, "note": m.Note, "effective_at": formatTime(m.EffectiveAt)} {
		if value != "" {
			req[at+name] = value
		}
	}
	if m.Pending {
		req[at+"pending"] = "true"
		req[at+"expires_in"] = m.ExpiresIn.String()
	}
}

func describeLegs(req request, at string, legs []ledger.Posting) {
	for i, l := range legs {
		leg := at + "legs[" + strconv.Itoa(i) + "]."
		req[leg+"account"], req[leg+"currency"], req[leg+"amount"] = l.Account, l.Currency, strconv.FormatInt(l.Amount, 10)
	}
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// transfer is m as the ledger takes it.
func (m Movement) transfer(a Actor, i int, now time.Time) ledger.Transfer {
	t := ledger.Transfer{ID: newID("tr_", now), Kind: ledger.Posted, Legs: legsOf(m.Legs), EffectiveAt: m.EffectiveAt,
		Note: m.Note, Reference: appReference + m.Reference}
	if m.Reference == "" {
		t.Reference = keyedReference(a, i)
	}
	if m.Pending {
		t.Kind, t.ExpiresAt = ledger.Pending, now.Add(PendingFor)
		if m.ExpiresIn > 0 {
			t.ExpiresAt = now.Add(m.ExpiresIn)
		}
	}
	return t
}

// keyedReference names the i-th transfer of a call by the call's idempotency
// key, so that the ledger itself keeps one key from posting twice for ever.
func keyedReference(a Actor, i int) string {
	sum := sha256.Sum256([]byte(a.scope() + "\n" + a.Key))
	return appReference + "/" + hex.EncodeToString(sum[:16]) + "/" + strconv.Itoa(i)
}

func legsOf(legs []ledger.Posting) []ledger.Leg {
	out := make([]ledger.Leg, len(legs))
	for i, l := range legs {
		out[i] = ledger.Leg(l)
	}
	return out
}

func (b *Books) checkMoves(ctx context.Context, a Actor, moves []Movement) error {
	if err := serverOnly(a); err != nil {
		return err
	}
	if len(moves) == 0 || len(moves) > LinkedMax {
		return fmt.Errorf("%w: %d transfers, want 1 to %d", ErrInput, len(moves), LinkedMax)
	}
	now := b.s.now()
	known := map[string]bool{}
	for i, m := range moves {
		if err := b.checkMove(ctx, m, now, known); err != nil {
			return fmt.Errorf("transfer %d: %w", i, err)
		}
	}
	return nil
}

// checkMove reports what is wrong with m; known are users found before.
func (b *Books) checkMove(ctx context.Context, m Movement, now time.Time, known map[string]bool) error {
	switch {
	case m.ExpiresIn < 0 || m.ExpiresIn > PendingMax || m.ExpiresIn != 0 && !m.Pending:
		return fmt.Errorf("%w: expires_in is for pending transfers, up to %s", ErrInput, PendingMax)
	case !m.EffectiveAt.IsZero() && (m.EffectiveAt.Year() < 1970 || m.EffectiveAt.After(now.AddDate(1, 0, 0))):
		return fmt.Errorf("%w: effective_at must be from 1970 to a year from now", ErrInput)
	case strings.HasPrefix(m.Reference, "/"):
		return fmt.Errorf("%w: a reference does not begin with a slash", ErrInput)
	}
	if err := b.s.checkText("reference", m.Reference, referenceMax); err != nil {
		return err
	}
	if err := b.s.checkText("note", m.Note, noteMax); err != nil {
		return err
	}
	for _, l := range m.Legs {
		if err := b.checkLeg(ctx, l, known); err != nil {
			return err
		}
	}
	return nil
}

func (b *Books) checkLeg(ctx context.Context, l ledger.Posting, known map[string]bool) error {
	if _, err := Exponent(l.Currency); err != nil {
		return err
	}
	user, err := openToApp(l.Account)
	if err != nil || user == "" || known[user] {
		return err
	}
	if _, err := b.s.d.Names.Person(ctx, user); err != nil {
		return fmt.Errorf("%w: %.80s", err, user)
	}
	known[user] = true
	return nil
}

// openToApp reports whether the app may move money on an account: its own, and
// what a user has available, whose user it returns.
func openToApp(account string) (user string, err error) {
	if isAppAccount(account) {
		return "", nil
	}
	user = strings.TrimSuffix(strings.TrimPrefix(account, userPrefix), ":available")
	if user != "" && account == availableAccount(user) && !strings.Contains(user, ":") {
		return user, nil
	}
	return "", fmt.Errorf("%w: account %.160s; yours begin with %q, and user:<id>:available may be used", ErrReserved, account, appPrefix)
}

// isAppAccount reports whether account is a name for an account of the app:
// "app:" and 1 to 120 letters, digits and the signs . _ - : behind it.
func isAppAccount(account string) bool {
	name, ok := strings.CutPrefix(account, appPrefix)
	if !ok || name == "" || len(name) > 120 {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-:", rune(c)) {
			return false
		}
	}
	return true
}

func serverOnly(a Actor) error {
	if !a.Server {
		return fmt.Errorf("%w: only a server key uses the ledger", ErrNotParty)
	}
	return nil
}

// Resolution asks for a pending or posted transfer of the app to be finished.
type Resolution struct {
	// Transfer is the id of what is posted, voided or reversed.
	Transfer string
	// Legs of a post in part; none means in full.
	Legs []ledger.Posting
	Note string
}

// Post moves what a pending transfer reserved, in full or in part; the rest is released.
func (b *Books) Post(ctx context.Context, a Actor, r Resolution) (ledger.Entry, error) {
	return b.resolve(ctx, a, "ledger.post", r, ledger.Transfer{Kind: ledger.Post, Legs: legsOf(r.Legs)})
}

// Void releases what a pending transfer reserved.
func (b *Books) Void(ctx context.Context, a Actor, r Resolution) (ledger.Entry, error) {
	return b.resolve(ctx, a, "ledger.void", r, ledger.Transfer{Kind: ledger.Void})
}

// resolve lets t resolve a pending transfer of the app, once for a key.
func (b *Books) resolve(ctx context.Context, a Actor, operation string, r Resolution, t ledger.Transfer) (ledger.Entry, error) {
	req, err := b.finishing(a, operation, r)
	if err != nil {
		return ledger.Entry{}, err
	}
	now := b.s.now()
	t.ID, t.Reference, t.Note, t.Resolves = newID("tr_", now), keyedReference(a, 0), r.Note, r.Transfer
	return commitOnce(ctx, b.s, a, req, r.Transfer, []ledger.Transfer{t}, func(e []ledger.Entry) ledger.Entry { return e[0] })
}

// Reverse takes a posted transfer back, all of it and once.
func (b *Books) Reverse(ctx context.Context, a Actor, r Resolution) (ledger.Entry, error) {
	req, err := b.finishing(a, "ledger.reverse", r)
	if err != nil {
		return ledger.Entry{}, err
	}
	return once(ctx, b.s, a, req, func(tx *sqldb.Tx, now time.Time) (ledger.Entry, error) {
		of, err := ledger.Get(tx, r.Transfer)
		if err != nil {
			return ledger.Entry{}, err
		}
		if err := ofApp(of.ID, of.Reference); err != nil {
			return ledger.Entry{}, err
		}
		by := ledger.Reversal{ID: newID("tr_", now), Of: r.Transfer, Reference: keyedReference(a, 0), Note: r.Note}
		if _, err := b.s.book.Reverse(tx, now, by); err != nil {
			return ledger.Entry{}, err
		}
		return ledger.Get(tx, by.ID)
	})
}

// finishing checks a resolution and returns what two requests with one key must have in common.
func (b *Books) finishing(a Actor, operation string, r Resolution) (request, error) {
	if err := serverOnly(a); err != nil {
		return nil, err
	}
	if err := b.s.checkText("note", r.Note, noteMax); err != nil {
		return nil, err
	}
	if r.Transfer == "" {
		return nil, fmt.Errorf("%w: no transfer named", ledger.ErrUnknown)
	}
	req := request{"operation": operation, "transfer": r.Transfer, "note": r.Note}
	describeLegs(req, "", r.Legs)
	return req, nil
}

// ofApp reports whether a transfer with this reference is the app's to finish.
func ofApp(id, reference string) error {
	if !strings.HasPrefix(reference, appReference) {
		return fmt.Errorf("%w: transfer %.128s", ErrReserved, id)
	}
	return nil
}
