package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
)

type evaluateFlags struct {
	sampleFlags
	shapeFlags
	output  string
	json    bool
	threads int
}

func evaluateCommand(line commandLine) *cobra.Command {
	f := &evaluateFlags{}
	cmd := &cobra.Command{
		Use:   "evaluate MODEL... --samples FOLDER [flags]",
		Short: "Compare models on the same samples, with labels and with each other",
		Long: `Runs every model on every sample. With --labels, tells how often each is right; always, how often it answers like
the first model, and how much noise its outputs have beside the first model's. Intervals are 95 % ones; that of the
drop is for paired answers.`,
		Example: `  octet evaluate mobilenet_v2.onnx mobilenet_v2.int8.onnx --samples val/ --labels val.csv`,
		Args:    models(1, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return evaluate(cmd, args, f, line)
		},
	}
	f.sampleFlags.add(cmd)
	f.addLabels(cmd)
	f.shapeFlags.add(cmd)
	cmd.Flags().StringVar(&f.output, "output", "", "`name` of the output that answers (default the first)")
	cmd.Flags().IntVar(&f.threads, "threads", 0, "samples run at the same time (default one per processor; results do not depend on it)")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON (keys: docs/json.md)")
	return cmd
}

func evaluate(cmd *cobra.Command, args []string, f *evaluateFlags, line commandLine) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.threads < 0 {
		return usagef("--threads cannot be negative")
	}
	if f.samples == "" {
		return usagef("evaluate needs samples:\n  %s", line.with("--samples", "FOLDER"))
	}
	stderr := cmd.ErrOrStderr()
	models, err := loadAll(args, f.shapeFlags)
	if err != nil {
		return err
	}
	classes, err := f.readClasses()
	if err != nil {
		return err
	}
	samples, err := f.open(models[0], f.storedPreprocess(models, stderr), classes)
	if err != nil {
		return err
	}
	result, err := evaluateOn(cmd.Context(), models, samples, stderr, octet.EvaluateOptions{Workers: f.threads, Output: f.output})
	if err != nil {
		return withShapeHint(err, models[0], line)
	}
	reportSkipped(samples, stderr)
	if err := checkLabels(f.labels, result, stderr); err != nil {
		return err
	}
	if f.json {
		return writeJSON(cmd.OutOrStdout(), evaluationJSON(result))
	}
	writeEvaluation(cmd.OutOrStdout(), result)
	return nil
}

// evaluateOn evaluates with a display of progress.
func evaluateOn(ctx context.Context, models []*octet.Model, s octet.Samples, stderr io.Writer, o octet.EvaluateOptions) (*octet.Evaluation, error) {
	report, done := progress(stderr, "evaluating")
	defer done()
	o.Progress = report
	return octet.Evaluate(ctx, models, s, o)
}

// checkLabels says if labels were asked for and are not there.
func checkLabels(labels string, e *octet.Evaluation, stderr io.Writer) error {
	if labels == "" {
		return nil
	}
	n, labeled := e.Models[0].N, e.Models[0].Labeled
	switch {
	case labeled == 0:
		return fmt.Errorf("--labels %s has a label for none of the %s: the files named there must be those of --samples", labels, count(n, "sample"))
	case labeled < n:
		fmt.Fprintf(stderr, "Warning: %d of %s have no label; top-1, top-5 and drop are of the others\n", n-labeled, count(n, "sample"))
	}
	return nil
}

func writeEvaluation(w io.Writer, e *octet.Evaluation) {
	first := e.Models[0]
	labeled := first.Labeled > 0
	several := len(e.Models) > 1
	var t table
	header := []string{"model"}
	if labeled {
		header = append(header, "top-1 (95 %)")
		if e.Classes > 5 {
			header = append(header, "top-5")
		}
	}
	if several {
		header = append(header, "same answer (95 %)")
		if labeled {
			header = append(header, "drop (95 %, paired)")
		}
		header = append(header, "noise ratio")
	}
	t.add(header...)
	for i, m := range e.Models {
		row := []string{m.Path}
		if labeled {
			row = append(row, interval(m.Top1, m.Top1Interval))
			if e.Classes > 5 {
				row = append(row, percent(m.Top5))
			}
		}
		switch {
		case several && i == 0:
			row = append(row, "reference")
		case several:
			row = append(row, interval(m.Agreement, m.AgreementInterval))
			if labeled {
				row = append(row, interval(m.Drop, m.DropInterval))
			}
			row = append(row, decibels(m.SQNR))
		}
		t.add(row...)
	}
	fmt.Fprintf(w, "%s", count(first.N, "sample"))
	if labeled {
		fmt.Fprintf(w, ", %d with labels", first.Labeled)
	}
	fmt.Fprint(w, "\n\n")
	t.write(w)
	if !labeled && !several {
		fmt.Fprintln(w, "\nNothing to compare with: give --labels, or a second model.")
	}
}

// evaluationResult is the JSON of evaluate.
type evaluationResult struct {
	Models []modelResult `json:"models"`
}

type modelResult struct {
	Path              string    `json:"path"`
	N                 int       `json:"n"`
	Labeled           int       `json:"labeled"`
	Top1              number    `json:"top1"`
	Top5              number    `json:"top5"`
	Top1Interval      [2]number `json:"top1_interval"`
	Agreement         number    `json:"agreement"`
	AgreementInterval [2]number `json:"agreement_interval"`
	Drop              number    `json:"drop"`
	DropInterval      [2]number `json:"drop_interval"`
	SQNR              number    `json:"sqnr_db"`
}

func evaluationJSON(e *octet.Evaluation) evaluationResult {
	var out evaluationResult
	for _, m := range e.Models {
		top5 := m.Top5
		if e.Classes > 0 && e.Classes <= 5 {
			top5 = math.NaN() // always right, and so tells nothing
		}
		out.Models = append(out.Models, modelResult{
			Path: m.Path, N: m.N, Labeled: m.Labeled,
			Top1: number(m.Top1), Top5: number(top5), Top1Interval: numbers(m.Top1Interval),
			Agreement: number(m.Agreement), AgreementInterval: numbers(m.AgreementInterval),
			Drop: number(m.Drop), DropInterval: numbers(m.DropInterval), SQNR: number(m.SQNR),
		})
	}
	return out
}
