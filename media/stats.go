package media

import (
	"cmp"
	"slices"
	"time"

	"parley/wire"
)

// RoomInfo is a room as the console shows it.
type RoomInfo struct {
	Room         wire.CallID       `json:"room"`
	Since        time.Time         `json:"since"`
	Speakers     []wire.UserID     `json:"speakers" doc:"loudest first"`
	Prompts      int               `json:"prompts" doc:"that play or wait"`
	Participants []ParticipantInfo `json:"participants"`
}

// ParticipantInfo is a participant as the console shows it.
type ParticipantInfo struct {
	Participant
	State      string     `json:"state" doc:"new, connecting, connected, disconnected, failed or closed"`
	Joined     time.Time  `json:"joined"`
	Muted      bool       `json:"muted"`
	PacketsIn  uint64     `json:"packets_in"`
	PacketsOut uint64     `json:"packets_out"`
	LostIn     uint32     `json:"lost_in" doc:"voice packets that never came"`
	LastRTP    *time.Time `json:"last_rtp,omitempty"`
	Slots      []Slot     `json:"slots"`
	FreeSlots  int        `json:"free_slots"`
}

// Rooms returns all rooms of this node, oldest first.
func (s *SFU) Rooms() []RoomInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]RoomInfo, 0, len(s.rooms))
	for _, r := range s.rooms {
		info := RoomInfo{Room: r.id, Since: r.since, Speakers: slices.Clone(r.speakers), Prompts: r.waiting}
		for _, p := range r.peers {
			info.Participants = append(info.Participants, p.info())
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b RoomInfo) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Room, b.Room))
	})
	return out
}

func (p *peer) info() ParticipantInfo {
	i := ParticipantInfo{
		Participant: p.Participant,
		State:       p.connection().String(),
		Joined:      p.joined,
		Muted:       p.feed.muted.Load(),
		PacketsIn:   p.feed.packets.Load(),
		LostIn:      p.feed.lost(),
		Slots:       p.attached(),
	}
	i.FreeSlots = len(p.slots) - len(i.Slots)
	for _, s := range p.slots {
		i.PacketsOut += s.packets.Load()
	}
	if !p.feed.lastRTP.IsZero() {
		at := p.feed.lastRTP
		i.LastRTP = &at
	}
	return i
}
