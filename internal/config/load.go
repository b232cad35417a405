package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Load reads the configuration: defaults < file (may be "") < env < sets, which
// are "key=value" with dotted keys. env is os.Environ's form. Unknown keys are
// refused with the nearest known one.
func Load(file string, env, sets []string) (Config, error) {
	c := Default()
	fields := fieldsOf(&c)
	if file != "" {
		if err := loadFile(file, fields); err != nil {
			return c, err
		}
	}
	if err := loadEnv(env, fields); err != nil {
		return c, err
	}
	for _, s := range sets {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return c, fmt.Errorf("config: %q is not key=value", s)
		}
		if err := setText(fields, key, value); err != nil {
			return c, fmt.Errorf("config: flag %s: %w", key, err)
		}
	}
	return c, nil
}

// EnvName is the environment variable of a key: http.listen is PARLEY_HTTP_LISTEN.
func EnvName(key string) string {
	return "PARLEY_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Field is one configurable value.
type Field struct {
	Key    string
	Doc    string
	Secret bool
	value  reflect.Value
}

// Fields lists every value of c in order of definition.
func Fields(c *Config) []Field { return fieldsOf(c) }

// Text is the value as a flag or variable would give it; secrets are hidden.
func (f Field) Text() string {
	if f.Secret && !f.value.IsZero() {
		return "(hidden)"
	}
	if f.value.Kind() == reflect.Slice {
		return strings.Join(f.value.Interface().([]string), ",")
	}
	return fmt.Sprint(f.value.Interface())
}

func fieldsOf(c *Config) []Field {
	var fields []Field
	root := reflect.ValueOf(c).Elem()
	for i := range root.NumField() {
		group := root.Type().Field(i).Tag.Get("yaml")
		section := root.Field(i)
		for j := range section.NumField() {
			t := section.Type().Field(j)
			fields = append(fields, Field{
				Key: group + "." + t.Tag.Get("yaml"), Doc: t.Tag.Get("doc"),
				Secret: t.Tag.Get("secret") == "true", value: section.Field(j),
			})
		}
	}
	return fields
}

func loadFile(file string, fields []Field) error {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	var sections map[string]map[string]any
	if err := yaml.Unmarshal(text, &sections); err != nil {
		return fmt.Errorf("config: %s: %w", file, err)
	}
	var errs []error
	for group, values := range sections {
		for name, v := range values {
			if err := setYAML(fields, group+"."+name, v); err != nil {
				errs = append(errs, fmt.Errorf("config: %s: %w", file, err))
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func setYAML(fields []Field, key string, v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = fmt.Sprint(p)
		}
		return setText(fields, key, strings.Join(parts, ","))
	default:
		return setText(fields, key, fmt.Sprint(v))
	}
}

func loadEnv(env []string, fields []Field) error {
	known := map[string]string{"PARLEY_TEST_POSTGRES": "", "PARLEY_TEST_REDIS": ""}
	for _, f := range fields {
		known[EnvName(f.Key)] = f.Key
	}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "PARLEY_") {
			continue
		}
		key, ok := known[name]
		switch {
		case !ok:
			return fmt.Errorf("config: unknown variable %s; did you mean %s?", name, nearest(name, known))
		case key == "":
			continue
		}
		if err := setText(fields, key, value); err != nil {
			return fmt.Errorf("config: variable %s: %w", name, err)
		}
	}
	return nil
}

func setText(fields []Field, key, text string) error {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Key == key })
	if i < 0 {
		known := map[string]string{}
		for _, f := range fields {
			known[f.Key] = ""
		}
		return fmt.Errorf("unknown key %q; did you mean %q?", key, nearest(key, known))
	}
	v := fields[i].value
	switch v.Interface().(type) {
	case string:
		v.SetString(text)
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%s: want true or false, not %q", key, text)
		}
		v.SetBool(b)
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s: want a whole number, not %q", key, text)
		}
		v.SetInt(int64(n))
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%s: want a duration such as 30s or 168h, not %q", key, text)
		}
		v.SetInt(int64(d))
	case []string:
		v.Set(reflect.ValueOf(splitList(text)))
	default:
		return fmt.Errorf("%s: no rule for type %s", key, v.Type())
	}
	return nil
}

func splitList(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// nearest returns the known name with the smallest edit distance to name.
func nearest(name string, known map[string]string) string {
	best, bestDistance := "", 1<<30
	for k := range known {
		if d := distance(name, k); d < bestDistance || d == bestDistance && k < best {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
