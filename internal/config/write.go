package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Write prints c as YAML with every value and without secrets.
func Write(w io.Writer, c *Config) error {
	group := ""
	for _, f := range Fields(c) {
		section, name, _ := strings.Cut(f.Key, ".")
		if section != group {
			if _, err := fmt.Fprintf(w, "%s:\n", section); err != nil {
				return err
			}
			group = section
		}
		if _, err := fmt.Fprintf(w, "  %s: %s\n", name, f.yamlText()); err != nil {
			return err
		}
	}
	return nil
}

func (f Field) yamlText() string {
	switch {
	case f.Secret && !f.value.IsZero():
		return "(hidden)"
	case f.value.Kind() == reflect.Slice:
		return "[" + strings.Join(f.value.Interface().([]string), ", ") + "]"
	case f.value.Kind() == reflect.String:
		return fmt.Sprintf("%q", f.value.String())
	}
	return f.Text()
}

// WriteReference prints all keys as Markdown: what each means, its default and
// its environment variable.
func WriteReference(w io.Writer) error {
	if _, err := fmt.Fprint(w, "# Configuration\n\nA node reads defaults, then the YAML file given with `--config`, then the environment, then `--set key=value`; the later wins. Unknown keys are refused. `parley config` prints what is in force.\n"); err != nil {
		return err
	}
	c := Default()
	group := ""
	for _, f := range Fields(&c) {
		section, _, _ := strings.Cut(f.Key, ".")
		if section != group {
			group = section
			if _, err := fmt.Fprintf(w, "\n## %s\n\n| key | default | environment | meaning |\n|---|---|---|---|\n", section); err != nil {
				return err
			}
		}
		f.Secret = false // defaults are no secrets
		text := f.Text()
		if text != "" {
			text = "`" + text + "`"
		}
		if _, err := fmt.Fprintf(w, "| `%s` | %s | `%s` | %s |\n", f.Key, text, EnvName(f.Key), f.Doc); err != nil {
			return err
		}
	}
	return nil
}
