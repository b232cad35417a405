package turn

import (
	"net"
	"net/netip"
	"slices"
)

// neverPeers are refused whatever the configuration allows: "this host",
// multicast and broadcast, and every way of writing an IPv4 address inside an
// IPv6 one, which would walk around the IPv4 rows below.
var neverPeers = prefixes(
	"0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32",
	"::/96",                          // unspecified and IPv4-compatible; ::1 is let through to denyPeers
	"::ffff:0:0/96",                  // IPv4-mapped
	"::ffff:0:0:0/96",                // IPv4-translated (SIIT)
	"64:ff9b::/96", "64:ff9b:1::/48", // NAT64
	"2001::/32", // Teredo
	"2002::/16", // 6to4
	"ff00::/8",
)

// metadataPeers answer with a machine's own credentials in the large clouds.
// A prefix does not allow them; only the single address does.
var metadataPeers = prefixes(
	"169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32",
	"192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::254/128",
)

// denyPeers are refused unless Config.AllowPeers names them: what is not
// globally reachable unicast (IANA special-purpose registries).
var denyPeers = prefixes(
	"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/3", "2001::/23", "2001:db8::/32", "3fff::/20", "4000::/2", "8000::/1", // all but global unicast 2000::/3
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// policy says which peers a client may reach.
type policy struct {
	allow     []netip.Prefix
	self      map[netip.Addr]bool     // this machine's own addresses
	selfPorts []uint16                // of this machine's, open to clients
	listeners map[netip.AddrPort]bool // where this server itself listens
}

// addressAllowed judges an address as it was written in XOR-PEER-ADDRESS. The
// machine's own addresses pass: which of their ports are open is mayReach's word.
func (p *policy) addressAllowed(a netip.Addr) bool {
	if a != netip.IPv6Loopback() && contains(neverPeers, a) {
		return false
	}
	return p.self[a] || p.configured(a) || !contains(denyPeers, a) && !contains(metadataPeers, a)
}

// configured reports whether Config.AllowPeers names a.
func (p *policy) configured(a netip.Addr) bool {
	single := contains(metadataPeers, a)
	for _, allow := range p.allow {
		if allow.Contains(a) && (!single || allow.IsSingleIP()) {
			return true
		}
	}
	return false
}

// portAllowed judges a whole transport address whose address is allowed and
// which is not a relay of this server: never a listener of this server (a
// packet would come back to it, RFC 8656 §21.1.7), and another port of this
// machine only if Config.SelfPorts names it or Config.AllowPeers the address.
func (p *policy) portAllowed(peer netip.AddrPort) bool {
	if !p.self[peer.Addr()] {
		return true
	}
	return !p.listeners[peer] && (slices.Contains(p.selfPorts, peer.Port()) || p.configured(peer.Addr()))
}

// ownAddresses are the addresses of this machine's interfaces.
func ownAddresses() []netip.Addr {
	var out []netip.Addr
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}
