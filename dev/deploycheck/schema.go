package main

import (
	"fmt"
	"regexp"
	"slices"
)

// The part of a CRD's schema that says which fields there are and of what kind. Kubernetes itself drops unknown fields in
// silence; here they are mistakes.
type schema struct {
	Type       string
	Properties map[string]schema
	Items      *schema
	Required   []string
	Enum       []any
	Pattern    string
	Minimum    *float64
	IntOrText  bool `json:"x-kubernetes-int-or-string"`
	Anything   bool `json:"x-kubernetes-preserve-unknown-fields"`
	// false, true or a schema
	AdditionalProperties any
}

func (s schema) mistakes(at string, value any) (found []string) {
	say := func(format string, values ...any) { found = append(found, at+" "+fmt.Sprintf(format, values...)) }
	if s.IntOrText {
		return nil
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		say("is %v, none of %v", value, s.Enum)
	}
	kind := s.Type
	switch value := value.(type) {
	case map[string]any:
		if kind != "object" {
			say("is an object, not %q", kind)
		}
		for _, name := range s.Required {
			if _, ok := value[name]; !ok {
				say("lacks %s", name)
			}
		}
		for name, inner := range value {
			below, known := s.Properties[name]
			switch {
			case known:
				found = append(found, below.mistakes(at+"."+name, inner)...)
			case !s.Anything && s.AdditionalProperties == nil && !(at == "" && name == "metadata"):
				say("has no field %s", name)
			}
		}
	case []any:
		if kind != "array" || s.Items == nil {
			say("is a list, not %q", kind)
			return found
		}
		for i, inner := range value {
			found = append(found, s.Items.mistakes(fmt.Sprintf("%s[%d]", at, i), inner)...)
		}
	case string:
		if kind != "string" {
			say("is a text, not %q", kind)
		} else if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(value) {
			say("is %q and does not match %s", value, s.Pattern)
		}
	case bool:
		if kind != "boolean" {
			say("is a flag, not %q", kind)
		}
	case float64:
		if kind != "integer" && kind != "number" {
			say("is a number, not %q", kind)
		} else if s.Minimum != nil && value < *s.Minimum {
			say("is %v, below %v", value, *s.Minimum)
		}
	}
	return found
}
