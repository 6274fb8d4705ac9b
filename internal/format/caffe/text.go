package caffe

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/octet-nn/octet/internal/format"
)

// message is a message of a text file: its fields in order.
type message struct {
	line   int
	fields []*field
}

// field is a scalar, as its text, or a message.
type field struct {
	name    string
	line    int
	text    string
	message *message // nil for scalars
	used    bool     // somebody asked for it
}

// lineError is what is wrong with a line of a text file.
type lineError struct {
	line int
	why  string
}

func (e *lineError) Error() string { return e.why }

func wrongLine(line int, text string, args ...any) error {
	return &lineError{line, fmt.Sprintf(text, args...)}
}

// textParser reads protobuf's text form: name: scalar, name { … } or name < … >, lists in brackets, # comments.
type textParser struct {
	limits format.Limits
	rest   []byte
	line   int
	fields int
	depth  int
	kind   byte // of the token: 'w' word or number, 's' string, 0 the end, otherwise the character itself
	token  []byte
}

// parseText reads a text file.
func parseText(data []byte, limits format.Limits) (*message, error) {
	p := &textParser{limits: limits, rest: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), line: 1}
	if err := p.next(); err != nil {
		return nil, err
	}
	return p.message(0)
}

// next reads a token.
func (p *textParser) next() error {
	for len(p.rest) > 0 {
		switch c := p.rest[0]; {
		case c == '\n':
			p.line++
			p.rest = p.rest[1:]
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			p.rest = p.rest[1:]
		case c == '#':
			end := bytes.IndexByte(p.rest, '\n')
			if end < 0 {
				end = len(p.rest)
			}
			p.rest = p.rest[end:]
		case c == '"' || c == '\'':
			return p.quoted(c)
		case isWord(c):
			end := 1
			for end < len(p.rest) && isWord(p.rest[end]) {
				end++
			}
			p.kind, p.token, p.rest = 'w', p.rest[:end], p.rest[end:]
			return nil
		case bytes.IndexByte([]byte("{}<>[]:,;"), c) >= 0:
			p.kind, p.token, p.rest = c, p.rest[:1], p.rest[1:]
			return nil
		default:
			return wrongLine(p.line, "unexpected character %q", rune(c))
		}
	}
	p.kind, p.token = 0, nil
	return nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '+' || c == '.'
}

// quoted reads a string.
func (p *textParser) quoted(quote byte) error {
	var text []byte
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case quote:
			p.kind, p.token, p.rest = 's', text, p.rest[i+1:]
			return nil
		case '\n':
			return wrongLine(p.line, "the string that begins here has no end")
		case '\\':
			i++
			if i == len(p.rest) {
				continue
			}
			plain := strings.IndexByte(`nrt"'\`, p.rest[i])
			if plain < 0 {
				return wrongLine(p.line, `unknown escape \%c in a string`, rune(p.rest[i]))
			}
			text = append(text, "\n\r\t\"'\\"[plain])
		default:
			text = append(text, c)
		}
	}
	return wrongLine(p.line, "the string that begins here has no end")
}

// found is the token for error messages.
func (p *textParser) found() string {
	const longest = 40
	switch {
	case p.kind == 0:
		return "the end of the file"
	case len(p.token) > longest:
		return fmt.Sprintf("%q…", p.token[:longest])
	}
	return fmt.Sprintf("%q", p.token)
}

// message reads fields up to the token end, 0 being the end of the file.
func (p *textParser) message(end byte) (*message, error) {
	if p.depth++; p.depth > p.limits.MaxNesting {
		return nil, wrongLine(p.line, "messages are nested more than %d deep", p.limits.MaxNesting)
	}
	defer func() { p.depth-- }()
	m := &message{line: p.line}
	for p.kind != end {
		if p.kind != 'w' {
			return nil, wrongLine(p.line, "want the name of a field and not %s", p.found())
		}
		name, line := string(p.token), p.line
		if err := p.next(); err != nil {
			return nil, err
		}
		colon := p.kind == ':'
		if colon {
			if err := p.next(); err != nil {
				return nil, err
			}
		}
		if err := p.values(m, name, line, colon); err != nil {
			return nil, err
		}
		if p.kind == ',' || p.kind == ';' {
			if err := p.next(); err != nil {
				return nil, err
			}
		}
	}
	if end == 0 {
		return m, nil
	}
	return m, p.next()
}

// values reads what follows the name of a field: a value or a list of them.
func (p *textParser) values(m *message, name string, line int, colon bool) error {
	if p.kind != '[' {
		return p.value(m, name, line, colon)
	}
	if err := p.next(); err != nil {
		return err
	}
	for p.kind != ']' {
		if err := p.value(m, name, p.line, colon); err != nil {
			return err
		}
		if p.kind == ',' {
			if err := p.next(); err != nil {
				return err
			}
		} else if p.kind != ']' {
			return wrongLine(p.line, "want , or ] in the list %q and not %s", name, p.found())
		}
	}
	return p.next()
}

// value reads one value of a field.
func (p *textParser) value(m *message, name string, line int, colon bool) error {
	if p.fields++; p.fields > p.limits.MaxEntries {
		return wrongLine(line, "the file has more than %d fields", p.limits.MaxEntries)
	}
	f := &field{name: name, line: line}
	switch {
	case p.kind == '{' || p.kind == '<':
		end := byte('}')
		if p.kind == '<' {
			end = '>'
		}
		if err := p.next(); err != nil {
			return err
		}
		inner, err := p.message(end)
		if err != nil {
			return err
		}
		inner.line = line
		f.message = inner
	case colon && p.kind == 'w':
		f.text = string(p.token)
		if err := p.next(); err != nil {
			return err
		}
	case colon && p.kind == 's':
		var text strings.Builder
		for p.kind == 's' { // strings side by side are one
			text.Write(p.token)
			if err := p.next(); err != nil {
				return err
			}
		}
		f.text = text.String()
	case colon:
		return wrongLine(p.line, "want the value of %q and not %s", name, p.found())
	default:
		return wrongLine(p.line, "want : or { after %q and not %s", name, p.found())
	}
	m.fields = append(m.fields, f)
	return nil
}

// all is the fields of a name, which count as used.
func (m *message) all(name string) []*field {
	if m == nil {
		return nil
	}
	var found []*field
	for _, f := range m.fields {
		if f.name == name {
			f.used = true
			found = append(found, f)
		}
	}
	return found
}

// text is a scalar; of several, the last counts.
func (m *message) text(name string) string {
	all := m.all(name)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1].text
}

// texts are the scalars of a name.
func (m *message) texts(name string) []string {
	var out []string
	for _, f := range m.all(name) {
		if f.message == nil {
			out = append(out, f.text)
		}
	}
	return out
}

// messages are the messages of a name.
func (m *message) messages(name string) []*message {
	var out []*message
	for _, f := range m.all(name) {
		if f.message != nil {
			out = append(out, f.message)
		}
	}
	return out
}
