package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/octet-nn/octet/internal/suggest"
)

// usageError is a command line that makes no sense: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// newRoot makes the command tree. args is the command line, from which errors build the line to type instead.
func newRoot(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "octet",
		Short: "Make float neural networks 8-bit, measure what that cost, run both",
		Long: `octet takes a trained float neural network, makes it an 8-bit one, tells what that cost, and runs both.

Start with:
  octet demo                                     a real model and real samples, no files needed
  octet quantize model.onnx --samples photos/ --preprocess imagenet -o model.int8.onnx
  octet evaluate model.onnx model.int8.onnx --samples val/ --labels val.csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var known []string
			for _, c := range cmd.Commands() {
				known = append(known, c.Name())
			}
			return usagef("unknown command %q%s; octet help lists the commands", args[0], suggest.DidYouMean(args[0], known))
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	line := commandLine(args)
	root.AddCommand(
		quantizeCommand(line), evaluateCommand(line), runCommand(line), inspectCommand(), benchCommand(line),
		convertCommand(line), quantizeStatCommand(), imageToTensorCommand(), demoCommand(), versionCommand(),
	)
	return root
}

// flagError adds near names to unknown flags, and says what numbers are wanted. Of an unknown command it is the command that
// is wrong, whatever its flags.
func flagError(cmd *cobra.Command, err error) error {
	if !cmd.HasParent() && cmd.Flags().NArg() > 0 {
		return cmd.Args(cmd, cmd.Flags().Args())
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		err = fmt.Errorf("unknown flag %s%s", name, suggest.DidYouMean(name, known))
	}
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &invalid) && errors.As(err, &number) {
		what := "a whole number"
		if number.Func == "ParseFloat" {
			what = "a number"
		}
		if errors.Is(number, strconv.ErrRange) {
			what += " that is not so large"
		}
		err = fmt.Errorf("--%s wants %s, not %q", invalid.GetFlag().Name, what, invalid.GetValue())
	}
	return usagef("%w; see %s --help", err, cmd.CommandPath())
}

// models is the check that a command line has between least and most models; most 0 means any number.
func models(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%s needs a model file: %s", cmd.CommandPath(), cmd.UseLine())
		case most > 0 && len(args) > most:
			return usagef("%s takes one model file, not also %q: %s", cmd.CommandPath(), args[most], cmd.UseLine())
		}
		return nil
	}
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, not %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// commandLine is the line as it was typed, ready to have flags added.
type commandLine []string

// with is the line to type, with more flags.
func (l commandLine) with(more ...string) string {
	words := []string{"octet"}
	for _, w := range append(append([]string{}, l...), more...) {
		words = append(words, quoted(w))
	}
	return strings.Join(words, " ")
}

// quoted is a word as a shell wants it.
func quoted(word string) string {
	plain := word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=+./,:%@", r))
	}) < 0
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
