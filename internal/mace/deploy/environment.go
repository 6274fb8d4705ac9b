package deploy

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// shift says that what is in a line from column on, as it is parsed, stands by columns further right in the file.
type shift struct{ column, by int }

// environment replaces ${NAME} by the value of an environment variable, as MACE does, in the text and not in the
// values: a variable may stand inside of a flow list. It remembers where columns moved.
type environment struct{ shifts map[int][]shift }

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// comment is where a comment of a line begins; the end of the line if there is none.
func comment(line string) int {
	if strings.HasPrefix(line, "#") {
		return 0
	}
	if i := strings.Index(line, " #"); i >= 0 {
		return i
	}
	return len(line)
}

func (e *environment) substitute(text string, lookup func(string) (string, bool), bad func(at Position, format string, args ...any)) string {
	e.shifts = map[int][]shift{}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		var b strings.Builder
		end, delta := 0, 0
		for _, m := range variable.FindAllStringSubmatchIndex(line, -1) {
			name, at := line[m[2]:m[3]], Position{i + 1, utf8.RuneCountInString(line[:m[0]]) + 1}
			value, ok := lookup(name)
			switch {
			case !ok && m[0] >= comment(line):
				continue
			case !ok:
				bad(at, "the environment variable %s is not set; set it: export %s=...", name, name)
				value = name
			case strings.ContainsAny(value, "\r\n"):
				bad(at, "the environment variable %s has several lines; write its value into the file", name)
				value = name
			}
			b.WriteString(line[end:m[0]])
			b.WriteString(value)
			end = m[1]
			delta += (m[1] - m[0]) - utf8.RuneCountInString(value) // a reference has one byte a character
			e.shifts[i+1] = append(e.shifts[i+1], shift{utf8.RuneCountInString(b.String()) + 1, delta})
		}
		if end > 0 {
			b.WriteString(line[end:])
			lines[i] = b.String()
		}
	}
	return strings.Join(lines, "\n")
}

// original is the place in the file of a place in the text that was parsed.
func (e *environment) original(p Position) Position {
	by := 0
	for _, s := range e.shifts[p.Line] {
		if p.Column >= s.column {
			by = s.by
		}
	}
	p.Column += by
	return p
}
