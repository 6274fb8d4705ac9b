// Command octet quantizes float neural networks to 8 bits, measures what that cost, and runs both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// Exit codes.
const (
	exitError       = 1   // the command failed
	exitUsage       = 2   // it was called wrongly
	exitInterrupted = 130 // Ctrl-C: 128 + SIGINT
)

// garbagePercent is how much garbage is let pile up, in per cent of what is in use. Nearly all of it is tensors without
// pointers, which cost nothing to trace: collecting often keeps the peak of long runs near that of short ones.
const garbagePercent = 10

// collectOften lets less garbage pile up until the returned function is called: while samples run through a model, what is
// in use stays the same, so that all that grows with their number is garbage, and the holes it leaves.
func collectOften() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(3)
	return func() { debug.SetGCPercent(before) }
}

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the command winds up; a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and is the exit code. Results go to stdout, everything else to stderr.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	results := &checkedWriter{w: stdout}
	root := newRoot(args)
	root.SetArgs(append([]string{}, args...)) // nil would mean os.Args
	root.SetOut(results)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = results.err
	}
	if err == nil {
		return 0
	}
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "octet: %v\n", err)
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "octet: interrupted%s\n", interruptedNote(err))
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "octet: %v\n", err)
	return exitError
}

// checkedWriter remembers the first failure, so that results lost on a full disk are an error and not a success.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	if err != nil {
		c.err = fmt.Errorf("cannot write the results: %w", err)
	}
	return n, err
}

// interruption is an interrupted command that has something to say about what it leaves behind.
type interruption struct {
	note string
	err  error
}

func (e *interruption) Error() string { return e.err.Error() + ": " + e.note }
func (e *interruption) Unwrap() error { return e.err }

func interruptedNote(err error) string {
	var i *interruption
	if errors.As(err, &i) {
		return ": " + i.note
	}
	return ""
}
