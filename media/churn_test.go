package media_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"parley/media"
)

// TestChurn_FiftyJoinsAndLeavesLeaveNothing runs real connections in and out
// of a room side by side, some hanging up without a word, some leaving before
// they are connected, while one stays and talks; TestMain's leak check sees the rest.
func TestChurn_FiftyJoinsAndLeavesLeaveNothing(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	stays := join(t, s, "stays", 12)
	defer stays.talk(t, 5*time.Millisecond)()
	waitUntil(t, "the talker is heard, with all that reads it", func() bool { return s.Rooms()[0].Participants[0].PacketsIn > 0 })
	before := runtime.NumGoroutine()
	var crowd sync.WaitGroup
	for lane := range 5 {
		crowd.Go(func() {
			for n := range 10 {
				name := fmt.Sprintf("p%d", lane*2+n%2) // returns under the same name
				c, offer := newClient(t, name, 12)
				c.enter(t, s, room, offer)
				switch n % 3 {
				case 0:
					c.await(t)
					c.hears(t, stays)
				case 1:
					c.hangUp()
				}
				if err := s.Leave(room, c.Participant); err != nil && n%3 != 1 {
					t.Error(err)
				}
				c.hangUp()
			}
		})
	}
	crowd.Wait()
	waitUntil(t, "one is left in the room", func() bool { return len(s.Rooms()[0].Participants) == 1 })
	waitUntil(t, "all slots are free", func() bool { return len(slotsNow(s, stays.Participant)) == 0 })
	waitUntil(t, "goroutines are as many as before", func() bool { return runtime.NumGoroutine() <= before })
}
