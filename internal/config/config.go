// Package config puts a node's configuration together: defaults, then a YAML
// file, then PARLEY_… environment variables, then flags. It owns names, texts
// and precedence, and leaves the meaning of each value to the package that uses it.
package config

import "time"

// Config of a node. Every field has a default that works on one machine.
type Config struct {
	HTTP     HTTP     `yaml:"http"`
	Database Database `yaml:"database"`
	Redis    Redis    `yaml:"redis"`
	Auth     Auth     `yaml:"auth"`
	Hub      Hub      `yaml:"hub"`
	Limits   Limits   `yaml:"limits"`
	Topics   Topics   `yaml:"topics"`
	Payments Payments `yaml:"payments"`
	Safety   Safety   `yaml:"safety"`
	Stripe   Stripe   `yaml:"stripe"`
	Passkeys Passkeys `yaml:"passkeys"`
	TURN     TURN     `yaml:"turn"`
	Media    Media    `yaml:"media"`
	Webhooks Webhooks `yaml:"webhooks"`
	Log      Log      `yaml:"log"`
}

// HTTP is the door for REST, sockets and pages.
type HTTP struct {
	Listen    string   `yaml:"listen" doc:"address and port to listen on"`
	PublicURL string   `yaml:"public_url" doc:"where clients reach the node, for example https://pay.example.com; empty: http://localhost and the port"`
	Origins   []string `yaml:"origins" doc:"web origins that may open sockets and call REST from a browser, besides the public URL's own"`
	Proxies   []string `yaml:"trusted_proxies" doc:"prefixes of proxies whose X-Forwarded-For tells a client's address, for limits; without, all clients of a proxy count as one"`
	CertFile  string   `yaml:"cert_file" doc:"PEM certificate chain; with key_file the listener speaks TLS"`
	KeyFile   string   `yaml:"key_file" doc:"PEM private key"`
	// MaxWaiting bounds half-open connections.
	MaxWaiting int `yaml:"max_waiting" doc:"most connections that have not sent a whole request yet; over it the one that has waited longest is closed; negative: no limit"`
}

// Database is where the truth lives.
type Database struct {
	URL string `yaml:"url" secret:"true" doc:"SQLite file, or postgres://user:password@host/name"`
}

// Redis joins several nodes; without it a node is alone.
type Redis struct {
	URL      []string `yaml:"url" secret:"true" doc:"redis://[user:password@]host:port[/db], or rediss:// for TLS; several are Sentinels or nodes of a Cluster; empty: this node is alone"`
	Sentinel string   `yaml:"sentinel" doc:"name of the master, when the addresses are those of Sentinels"`
	Cluster  bool     `yaml:"cluster" doc:"the addresses are nodes of a Redis Cluster (version 7 or later)"`
	Password string   `yaml:"password" secret:"true" doc:"password, instead of one in the addresses"`
	Prefix   string   `yaml:"prefix" doc:"begins every key and channel; the same on all nodes"`
}

// Auth says whose tokens and keys are believed.
type Auth struct {
	Secret     string   `yaml:"secret" secret:"true" doc:"shared secret of at least 32 bytes for HS256 tokens; empty: such tokens are refused"`
	JWKS       []string `yaml:"jwks" doc:"URLs of JSON Web Key Sets whose ES256, EdDSA or RS256 tokens are believed, each as issuer=URL"`
	Audience   string   `yaml:"audience" doc:"the aud claim that tokens must carry; empty: not checked"`
	ServerKeys []string `yaml:"server_keys" secret:"true" doc:"keys (sk_…) of your backend"`
}

// Hub bounds the sockets.
type Hub struct {
	Heartbeat  time.Duration `yaml:"heartbeat" doc:"how often the server sends a heartbeat with the heads that moved"`
	Rate       int           `yaml:"rate" doc:"requests a second that one session may send on average; more get rate_limited"`
	Burst      int           `yaml:"burst" doc:"requests that one session may send at once"`
	MaxSockets int           `yaml:"max_sockets" doc:"most sockets of this node; more are sent away with 503; negative: no limit"`
	MaxPerAddr int           `yaml:"max_per_addr" doc:"most sockets of one IPv4 address or IPv6 /64; negative: no limit"`
	MaxPerUser int           `yaml:"max_per_user" doc:"most sessions of one user on this node; negative: no limit"`
	Compress   bool          `yaml:"compress" doc:"take up permessage-deflate where a client offers it: messages of 256 bytes and more are compressed, each by itself"`
	DrainTime  time.Duration `yaml:"drain_time" doc:"how long a stopping node takes to close its sockets, spread evenly"`
}

// Limits bound what one person, device or address may do, counted over all nodes.
type Limits struct {
	Rules []string `yaml:"rules" doc:"each: operation (or family.*), what it is counted by (user, device, ip), and count/duration, as in messages.send user 1200/1m; session.open and token.failed (a token that was refused) count, too; server keys are not limited, loopback addresses not by ip; empty: no limits"`
}

// Topics are open topics: who may join without a grant, and what is kept.
type Topics struct {
	Public        []string `yaml:"public" doc:"patterns of topics that every user may join; * stands for one segment between colons, ** at the end for one or more, as in news:**"`
	History       []string `yaml:"history" doc:"what topics keep, each pattern, size and time, as in prices:* size=100 ttl=10m; the first that fits counts; others keep nothing"`
	MaxPerSession int      `yaml:"max_per_session" doc:"topics that one session may have joined"`
}

// Payments sets the money rules.
type Payments struct {
	FeeBasisPoints int           `yaml:"fee_basis_points" doc:"fee taken from the payee's part at capture, in hundredths of a percent, for currencies that fees has no rule for"`
	Fees           []string      `yaml:"fees" doc:"fee rules by currency, for example EUR basis_points=150 fixed=25 min=50 max=1000 paid_by=payer on_refund=keep; amounts in minor units; * for every other currency takes a percentage only"`
	MaxHoldTime    time.Duration `yaml:"max_hold_time" doc:"how long after it began a hold may be extended to"`
	AnswerTime     time.Duration `yaml:"dispute_answer_time" doc:"how long a payee may take to answer a dispute"`
	DecideTime     time.Duration `yaml:"dispute_decide_time" doc:"how long an answered dispute waits for a decision"`
	IfUnanswered   string        `yaml:"dispute_unanswered" doc:"who gets the money of a dispute that the payee did not answer in time: payer, payee or wait"`
	IfUndecided    string        `yaml:"dispute_undecided" doc:"who gets the money of an answered dispute that nobody decided in time: payer, payee or wait"`
	Rates          []string      `yaml:"rates" doc:"exchange rates for trying things out, for example EUR/USD=1.0853; those set with rates.put count before them"`
	QuoteTime      time.Duration `yaml:"quote_time" doc:"how long the quote of a conversion is good"`
	HoldTime       time.Duration `yaml:"hold_time" doc:"how long held money stays held before it goes back"`
	ConfirmTime    time.Duration `yaml:"confirm_time" doc:"how long both parties have to confirm once the first one began"`
	LinkURL        string        `yaml:"link_url" doc:"page of your app that a payment link (/l/…) leads to, with the link's id in place of {link} or at the end"`
	AskOpen        int           `yaml:"ask_open" doc:"requests that one user may have open with one payer"`
	AskDaily       int           `yaml:"ask_daily" doc:"requests, and payment links, that one user may make within 24 hours"`
	AskAgainAfter  time.Duration `yaml:"ask_again_after" doc:"how long after a decline the same user may not ask the same payer again"`
	RemindEvery    time.Duration `yaml:"remind_every" doc:"least time between two reminders of a request"`
	AskReporters   int           `yaml:"ask_reporters" doc:"how many different payers must report requests of a user for all of that user's requests to be stopped until a review"`
	Sandbox        bool          `yaml:"sandbox" doc:"offer the sandbox rail, which makes play money; refused unless the listener is on loopback"`
	Rail           string        `yaml:"rail" doc:"the way to the outside world: sandbox, stripe or none; empty: none, or what payments.sandbox says"`
}

// Stripe is the account behind the stripe rail.
type Stripe struct {
	Key           string `yaml:"key" secret:"true" doc:"secret API key (sk_… or rk_…)"`
	WebhookSecret string `yaml:"webhook_secret" secret:"true" doc:"secret (whsec_…) of the webhook that points to /v1/rails/stripe/events; empty: outcomes are only asked for"`
	URL           string `yaml:"url" doc:"where the API is; empty: https://api.stripe.com"`
}

// Safety is what has to happen before money is committed.
type Safety struct {
	Rules        string        `yaml:"rules" doc:"YAML file of the rules; empty: the built-in ones (configs/safety.yaml)"`
	TrustedAfter time.Duration `yaml:"trusted_after" doc:"how long a trusted person stays after being changed or removed, and how long a new one cannot approve what was asked before"`
}

// Passkeys binds WebAuthn to the app's site.
type Passkeys struct {
	RPID    string   `yaml:"rp_id" doc:"relying party id: the site's domain; empty: the public URL's host"`
	RPName  string   `yaml:"rp_name" doc:"the name people see when they make a passkey"`
	Origins []string `yaml:"origins" doc:"origins whose assertions are accepted; empty: the public URL's"`
}

// TURN is the bundled relay.
type TURN struct {
	Enabled   bool     `yaml:"enabled" doc:"run the bundled STUN and TURN server"`
	Host      string   `yaml:"host" doc:"host name that clients use for it; empty: the public URL's host"`
	UDP       string   `yaml:"udp" doc:"address for UDP; empty: off"`
	TCP       string   `yaml:"tcp" doc:"address for TCP; empty: off"`
	TLS       string   `yaml:"tls" doc:"address for TLS; empty: off"`
	CertFile  string   `yaml:"cert_file" doc:"PEM certificate chain for TLS; empty: a self-signed one, which browsers refuse"`
	KeyFile   string   `yaml:"key_file" doc:"PEM private key for TLS"`
	RelayIP   string   `yaml:"relay_ip" doc:"public address of the relay ports"`
	PortMin   int      `yaml:"port_min" doc:"first relay port"`
	PortMax   int      `yaml:"port_max" doc:"last relay port"`
	Secret    string   `yaml:"secret" secret:"true" doc:"secret behind the time-limited credentials; empty: made at start, good for one node"`
	AllowPeer []string `yaml:"allow_peers" doc:"prefixes that may be relayed to although they are loopback, link-local or private"`
}

// Media is the bundled SFU.
type Media struct {
	Enabled  bool     `yaml:"enabled" doc:"run the bundled SFU for calls of three and more"`
	UDP      string   `yaml:"udp" doc:"address of the one UDP socket all calls share"`
	Prompts  string   `yaml:"prompts" doc:"folder of WAV files that calls.prompt can play, besides the built-in joined, left and attention; needs a binary with Opus"`
	Announce []string `yaml:"announce" doc:"public addresses to put into candidates, where the machine has private ones"`
}

// Webhooks are the requests that tell backends what happened.
type Webhooks struct {
	AllowPrivate bool `yaml:"allow_private" doc:"permit plain http and private addresses; for developing, and where only your own people hold server keys"`
}

// Log is how the node speaks of itself.
type Log struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error"`
	Format string `yaml:"format" doc:"text or json"`
}

// Default is the embedded configuration: one node, nothing else installed.
func Default() Config {
	return Config{
		HTTP:     HTTP{Listen: "127.0.0.1:8080", MaxWaiting: 16384},
		Database: Database{URL: "parley.db"},
		Redis:    Redis{Prefix: "parley:"},
		Hub:      Hub{Heartbeat: 25 * time.Second, Rate: 20, Burst: 100, MaxSockets: 100_000, MaxPerAddr: 1000, MaxPerUser: 20, DrainTime: 5 * time.Second},
		Limits: Limits{Rules: []string{
			"session.open user 120/1m", "session.open ip 1200/1m", "token.failed ip 60/1m",
			"messages.send user 1200/1m", "messages.send device 900/1m", "calls.start user 60/1m",
			"payments.create user 120/1m", "topic.publish user 1200/1m", "confirmations.* user 120/1m", "passkeys.* user 60/1m",
		}},
		Topics: Topics{MaxPerSession: 100},
		Payments: Payments{
			HoldTime: 7 * 24 * time.Hour, MaxHoldTime: 30 * 24 * time.Hour, ConfirmTime: 2 * time.Minute,
			AnswerTime: 7 * 24 * time.Hour, DecideTime: 30 * 24 * time.Hour, IfUnanswered: "payer", IfUndecided: "wait", QuoteTime: time.Minute,
			LinkURL: "/demo/?link={link}", AskOpen: 5, AskDaily: 100, AskAgainAfter: 24 * time.Hour, RemindEvery: 24 * time.Hour, AskReporters: 3,
		},
		Safety:   Safety{TrustedAfter: 24 * time.Hour},
		Passkeys: Passkeys{RPName: "Parley"},
		TURN:     TURN{Enabled: true, UDP: "127.0.0.1:3478", TCP: "127.0.0.1:3478", RelayIP: "127.0.0.1", PortMin: 49152, PortMax: 65535},
		Media:    Media{Enabled: true, UDP: "127.0.0.1:7882"},
		Log:      Log{Level: "info", Format: "text"},
	}
}
