package hub

import (
	"fmt"

	"parley/hub/broker"
)

// TellNodes hands body to OnTold of every node, this one included, at most
// once and in order per teller. The error means that the bus did not take it.
func (h *Hub) TellNodes(body []byte) error {
	err := h.bus.Publish(&broker.Message{Kind: kindTold, Frame: body, To: []broker.Target{{Topic: topicNodes}}})
	if err != nil {
		h.metrics.drops[dropBus].Inc()
		return fmt.Errorf("hub: nodes not told: %w", err)
	}
	return nil
}

// TellNode hands body to OnTold of the node that has that name in its
// Config.Node, as TellNodes does.
func (h *Hub) TellNode(node string, body []byte) error {
	err := h.bus.Publish(&broker.Message{Kind: kindTold, Frame: body, To: []broker.Target{{Topic: topicOf(node)}}})
	if err != nil {
		h.metrics.drops[dropBus].Inc()
		return fmt.Errorf("hub: node not told: %w", err)
	}
	return nil
}

// Sockets is how many sockets are on this node.
func (h *Hub) Sockets() int { return int(h.sockets.Load()) }
