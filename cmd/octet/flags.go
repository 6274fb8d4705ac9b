package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet/internal/suggest"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	words []string
	given bool // by the user
}

func newChoice(words ...string) *choice { return &choice{value: words[0], words: words} }

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.words, "|") }

func (c *choice) Set(text string) error {
	if !slices.Contains(c.words, text) {
		return fmt.Errorf("it can be %s%s", strings.Join(c.words, ", "), suggest.DidYouMean(text, c.words))
	}
	c.value, c.given = text, true
	return nil
}

// shapeFlags fix the sizes of symbolic dimensions.
type shapeFlags struct {
	shapes          []string
	batch           int
	inputs, outputs []string // where the network is cut
	weights         string   // the other file of a Caffe network
	cmd             *cobra.Command
}

func (f *shapeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.shapes, "shape", nil, "sizes of an input with symbolic dimensions, `name=dims`: x=1,3,224,224 (repeatable)")
	cmd.Flags().IntVar(&f.batch, "batch", 0, "size of the first dimension of inputs where it is symbolic")
	cmd.Flags().StringSliceVar(&f.inputs, "inputs", nil, "cut the network: it starts at the values with these `names`")
	cmd.Flags().StringSliceVar(&f.outputs, "outputs", nil, "cut the network: it ends at the values with these `names`")
	cmd.Flags().StringVar(&f.weights, "weights", "", "the `file` with the weights of a .prototxt, where it is not the .caffemodel beside it")
	f.cmd = cmd
}

// sampleFlags say where samples come from.
type sampleFlags struct {
	samples, preprocess, labels, classes string
	offset, limit                        int
}

func (f *sampleFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.samples, "samples", "", "images, .npy, .npz, raw or IDX files: a file, `folder` or zip archive")
	cmd.Flags().StringVar(&f.preprocess, "preprocess", "", "how images become numbers: a `preset` (imagenet, caffe, …) or YAML file")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "take only so many samples, in the order of their names")
	cmd.Flags().IntVar(&f.offset, "offset", 0, "skip so many samples first")
}

func (f *sampleFlags) addLabels(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.labels, "labels", "", "right answers: a CSV `file` (file,label), \"folder\" (folder names) or \"filename\" (leading integer)")
	f.addClasses(cmd)
}

func (f *sampleFlags) addClasses(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.classes, "classes", "", "names of the classes, a `file` with one a line")
}

// check finds contradictions in numbers.
func (f *sampleFlags) check() error {
	if f.limit < 0 || f.offset < 0 {
		return usagef("--limit and --offset are counts of samples; they cannot be negative")
	}
	return nil
}
