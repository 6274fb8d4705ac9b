package graph

import (
	"fmt"
	"strconv"
	"strings"
)

// scanner reads one line. After the first error everything it returns is zero, and the error stays.
type scanner struct {
	text string
	line int // from 1
	at   int // bytes read
	err  error
}

// fail reports an error at the present position unless there was one before.
func (s *scanner) fail(format string, args ...any) { s.failAt(s.at, format, args...) }

func (s *scanner) failAt(at int, format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%d:%d: %s", s.line, at+1, fmt.Sprintf(format, args...))
	}
	s.at = len(s.text) // nothing of this line is read any more
}

func (s *scanner) end() bool { return s.at >= len(s.text) }

// peek is the next byte; 0 at the end of the line.
func (s *scanner) peek() byte {
	if s.end() {
		return 0
	}
	return s.text[s.at]
}

func (s *scanner) space() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.at++
	}
}

// skip passes over space and returns the position after it, for messages about what stands there.
func (s *scanner) skip() int {
	s.space()
	return s.at
}

// found describes what is next, for messages.
func (s *scanner) found() string {
	if s.end() {
		return "end of line"
	}
	rest := s.text[s.at:]
	if len(rest) > 20 {
		rest = rest[:20] + "…"
	}
	return strconv.Quote(rest)
}

// accept consumes a punctuation mark if it is next.
func (s *scanner) accept(mark string) bool {
	s.space()
	if !strings.HasPrefix(s.text[s.at:], mark) {
		return false
	}
	s.at += len(mark)
	return true
}

func (s *scanner) expect(mark string) {
	if !s.accept(mark) {
		s.fail("unexpected %s, want %q", s.found(), mark)
	}
}

// lookahead is the characters up to the next space or punctuation mark, without consuming them.
func (s *scanner) lookahead() string {
	rest := s.text[min(s.at, len(s.text)):]
	if i := strings.IndexAny(rest, " \t,:()[]{}\"=@/"); i >= 0 {
		return rest[:i]
	}
	return rest
}

func (s *scanner) word() string {
	s.space()
	w := s.lookahead()
	if w == "" {
		s.fail("unexpected %s", s.found())
	}
	s.at += len(w)
	return w
}

// quoted is a string in quotation marks, with Go's escapes.
func (s *scanner) quoted() string {
	s.space()
	prefix, err := strconv.QuotedPrefix(s.text[s.at:])
	if err != nil || prefix[0] != '"' {
		s.fail("unexpected %s, want a name in quotation marks", s.found())
		return ""
	}
	s.at += len(prefix)
	name, _ := strconv.Unquote(prefix)
	return name
}

// bare is a name with or without quotation marks.
func (s *scanner) bare() string {
	s.space()
	if s.peek() == '"' {
		return s.quoted()
	}
	at := s.at
	w := s.word()
	if s.err == nil && bare(w) != w {
		s.failAt(at, "unexpected %q, want a name", w)
	}
	return w
}

func (s *scanner) integer(bits int) int64 {
	at := s.skip()
	w := s.word()
	n, err := strconv.ParseInt(w, 10, bits)
	if err != nil && s.err == nil {
		s.failAt(at, "%q is not an integer of %d bits", w, bits)
	}
	return n
}

func (s *scanner) float(bits int) float64 {
	at := s.skip()
	w := s.word()
	f, err := strconv.ParseFloat(w, bits)
	if err != nil && s.err == nil {
		s.failAt(at, "%q is not a number", w)
	}
	return f
}
