package signaling

// verify takes what one end says about the verification words.
//
// Both ends must name the same transcript and both must say that the words
// match. Anything else is treated as a middleman: the call ends by policy and
// its payment goes to review. A transcript other than the one under way (a
// reload without the stored certificate) opens a new round, which voids the
// last; more than MaxVerifyAttempts rounds count as a mismatch, so that nobody
// may draw words until they look alike.
func verify(s *step) error {
	p, err := s.bound()
	if err != nil {
		return err
	}
	c := s.call
	if c.Kind != Direct || c.Media != P2P {
		return ErrNotEndToEnd
	}
	said := Check{Transcript: s.cmd.Transcript, Match: s.cmd.Match}
	if said.Match && said == p.Check {
		return nil // a resend
	}
	other := s.peer(p)
	if c.Verified == WordsMatch { // new keys: the old agreement is void
		c.Verified, c.E2E, c.Transcript = WordsNone, false, ""
		p.Check, other.Check = Check{}, Check{}
		s.emit(Effect{Kind: EffUpdate})
	}
	if said.Transcript != p.Check.Transcript && said.Transcript != other.Check.Transcript {
		c.Attempts++
	}
	p.Check = said
	switch {
	case !said.Match, c.Attempts > MaxVerifyAttempts:
		s.differ()
	case other.Check.Transcript == "": // nothing to see before both have spoken
	case other.Check.Transcript != said.Transcript:
		s.differ()
	default:
		c.Verified, c.E2E, c.Transcript = WordsMatch, true, said.Transcript
		s.emit(Effect{Kind: EffUpdate})
	}
	return nil
}

// differ ends the call: somebody may be in the middle.
func (s *step) differ() {
	c := s.call
	c.Verified, c.E2E, c.Transcript = WordsDiffer, false, ""
	if c.Payment != "" {
		s.emit(Effect{Kind: EffReview})
	}
	s.emit(Effect{Kind: EffLogUnverified})
	s.end(Policy, DetailVerificationFailed)
}

// peer returns the other part of a direct call.
func (s *step) peer(p *Participant) *Participant {
	for i := range s.call.Participants {
		if q := &s.call.Participants[i]; q.User != p.User {
			return q
		}
	}
	return &Participant{} // a direct call always has two
}
