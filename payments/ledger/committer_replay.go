package ledger

import "fmt"

// recordedBefore returns where a group stands that is recorded already with
// the same content; nil when it is not, and ErrDuplicate when an id or
// reference of it stands for something else.
func (w *writer) recordedBefore(group []Transfer) ([]Recorded, error) {
	var recorded []Recorded
	for i := range group {
		s := w.find(&group[i])
		if s == nil {
			continue
		}
		field, err := w.differs(&group[i], s)
		if err != nil {
			return nil, err
		}
		if field != "" {
			return nil, fmt.Errorf("%w: id %s, reference %q is recorded with another %s", ErrDuplicate, group[i].ID, group[i].Reference, field)
		}
		if len(recorded) != i || i > 0 && s.seq != recorded[i-1].Seq+1 {
			return nil, fmt.Errorf("%w: id %s, reference %q is recorded with other transfers", ErrDuplicate, group[i].ID, group[i].Reference)
		}
		recorded = append(recorded, s.recorded())
	}
	if recorded != nil && len(recorded) != len(group) {
		return nil, fmt.Errorf("%w: reference %q is recorded with other transfers", ErrDuplicate, group[0].Reference)
	}
	return recorded, nil
}

// find returns the row that is recorded under the transfer's reference, or
// under its id when it has none.
func (w *writer) find(t *Transfer) *stored {
	if t.Reference != "" {
		return w.byReference[t.Reference]
	}
	return w.byID[t.ID]
}

// differs names the field by which t is not what was recorded. Times that t
// leaves open and the legs of a post in full were filled in when it was recorded.
func (w *writer) differs(t *Transfer, s *stored) (field string, err error) {
	switch {
	case t.Kind != s.kind:
		return "kind", nil
	case t.Resolves != s.resolves:
		return "resolves", nil
	case t.Reference != s.reference:
		return "reference", nil
	case t.Note != s.note:
		return "note", nil
	case millis(t.ExpiresAt) != s.expiresAt:
		return "expiry", nil
	case !t.EffectiveAt.IsZero() && millis(t.EffectiveAt) != s.effectiveAt:
		return "effective time", nil
	case len(t.Legs) == 0:
		return "", nil
	}
	postings, err := w.postingsOf(s)
	if err != nil || len(postings) != len(t.Legs) {
		return "number of legs", err
	}
	for i, l := range t.Legs {
		switch p := postings[i]; {
		case l.Account != p.Account:
			return "account", nil
		case l.Currency != p.Currency:
			return "currency", nil
		case l.Amount != p.Amount:
			return "amount", nil
		}
	}
	return "", nil
}
