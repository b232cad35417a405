package configs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"parley/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load reads a configuration as a node does, with variables as env names them.
func load(t *testing.T, file string, env map[string]string) config.Config {
	t.Helper()
	var list []string
	for name, value := range env {
		if strings.HasPrefix(name, "PARLEY_") {
			list = append(list, name+"="+value)
		}
	}
	c, err := config.Load(file, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFiles_HaveOnlyKeysThatNodesKnow(t *testing.T) {
	for _, file := range []string{"default.yaml", "cluster.yaml"} {
		load(t, file, nil)
	}
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// A service of compose.yaml, as far as it is checked.
type service struct {
	Image       string
	Command     []string
	Environment map[string]string
	StopGrace   string `yaml:"stop_grace_period"`
	Volumes     []string
}

var substituted = regexp.MustCompile(`\$\{[A-Z_]+(:[-?][^}]*)?\}`)

func TestCompose_NodesReadTheirEnvironment(t *testing.T) {
	var compose struct{ Services map[string]service }
	decode(t, "compose.yaml", &compose)
	for _, name := range []string{"node1", "node2", "node3"} {
		node := compose.Services[name]
		for key, value := range node.Environment {
			node.Environment[key] = substituted.ReplaceAllString(value, "a-secret-of-at-least-thirty-two-bytes")
		}
		c := load(t, "cluster.yaml", node.Environment)
		if len(c.Redis.URL) != 1 || !strings.HasPrefix(c.Database.URL, "postgres://") || !slices.Contains(node.Command, "/etc/parley/cluster.yaml") {
			t.Errorf("%s: Redis %v, database %s, command %v", name, c.Redis.URL, c.Database.URL, node.Command)
		}
		grace, err := time.ParseDuration(node.StopGrace)
		if err != nil || grace <= c.Hub.DrainTime+10*time.Second {
			t.Errorf("%s is killed after %s, while it drains for %v", name, node.StopGrace, c.Hub.DrainTime)
		}
	}
	for _, s := range compose.Services["proxy"].Volumes {
		from, _, _ := strings.Cut(s, ":")
		if _, err := os.Stat(from); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile("haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`"\$\{([A-Z0-9]+)\}"`).FindAllStringSubmatch(string(text), -1) {
		if compose.Services["proxy"].Environment[name[1]] == "" {
			t.Errorf("haproxy.cfg wants %s, which compose.yaml does not give", name[1])
		}
	}
}

// An object of Kubernetes, as far as it is checked.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Data       map[string]string
	Spec       struct {
		Template struct {
			Spec struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Args      []string
					Env       []struct{ Name string }
					Lifecycle struct {
						PreStop struct {
							Sleep struct{ Seconds int }
						} `yaml:"preStop"`
					}
					Readiness struct {
						HTTP struct{ Path string } `yaml:"httpGet"`
					} `yaml:"readinessProbe"`
				}
			}
		}
	}
}

func objects(t *testing.T) map[string]object {
	t.Helper()
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %v", files, err)
	}
	found := map[string]object{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var o object
			if err := dec.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if o.Kind != "" {
				found[o.Kind] = o
			}
		}
	}
	return found
}

func TestKubernetes_NodesReadTheirConfiguration(t *testing.T) {
	all := objects(t)
	file := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(file, []byte(all["ConfigMap"].Data["parley.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	pod := all["Deployment"].Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	container, env := pod.Containers[0], map[string]string{}
	for _, e := range container.Env {
		env[e.Name] = "192.0.2.1"
	}
	c := load(t, file, env)
	drains := time.Duration(container.Lifecycle.PreStop.Sleep.Seconds)*time.Second + c.Hub.DrainTime + 5*time.Second
	if grace := time.Duration(pod.Grace) * time.Second; grace <= drains || container.Lifecycle.PreStop.Sleep.Seconds == 0 {
		t.Errorf("killed after %v, while stopping takes %v", grace, drains)
	}
	if container.Readiness.HTTP.Path != "/readyz" || !slices.Contains(container.Args, "/etc/parley/parley.yaml") {
		t.Errorf("asked at %s, started with %v", container.Readiness.HTTP.Path, container.Args)
	}
	for _, kind := range []string{"Service", "PodDisruptionBudget"} {
		if all[kind].Metadata.Name != "parley" {
			t.Errorf("no %s", kind)
		}
	}
}

// HAProxy itself says whether it understands its file.
func TestHAProxy_UnderstandsItsConfiguration(t *testing.T) {
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		haproxy = "/usr/sbin/haproxy"
	}
	cmd := exec.CommandContext(t.Context(), haproxy, "-c", "-f", "haproxy.cfg") //nolint:gosec // the system's own
	cmd.Env = []string{"BIND=127.0.0.1:1", "STATS=" + filepath.Join(t.TempDir(), "s"), "NODE1=127.0.0.1:2", "NODE2=127.0.0.1:3", "NODE3=127.0.0.1:4"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("haproxy (package haproxy of the system): %v\n%s", err, out)
	}
}
