package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/atomicfile"
)

// assets has a float model and samples for it; assets/SOURCES.md says where they come from.
//
//go:embed assets
var assets embed.FS

// What the demo uses of the assets.
const (
	demoModel   = "kws.onnx"
	demoSamples = "samples.zip"
	demoLabels  = "y_labels.csv"
	// demoPreprocess says how the features, stored as integers, stand for real numbers.
	demoPreprocess  = "{quantized: {type: i8, scale: 0.5847029, zero_point: 83}}"
	demoCalibration = 50 // samples to calibrate on; the others evaluate
	// demoDuration is how long each model is measured; on a busy machine Bench takes up to ten times as long.
	demoDuration = 300 * time.Millisecond
)

func demoCommand() *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Quantize and measure an embedded model on embedded samples",
		Long: `Takes an embedded float model that recognizes spoken words (MLPerf Tiny keyword spotting) and 200 embedded samples of
Speech Commands, calibrates on the first 50, writes the 8-bit model, and compares both on the other 150.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			embedded, err := fs.Sub(assets, "assets")
			if err != nil {
				return err
			}
			return runDemo(cmd.Context(), embedded, folder, demoDuration, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&folder, "output-dir", "octet-demo", "`folder` to write the models into")
	return cmd
}

// runDemo does what a user would do with files of their own: the models are written, and read again to be measured.
func runDemo(ctx context.Context, embedded fs.FS, folder string, duration time.Duration, stdout, stderr io.Writer) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("cannot make the folder for the models (--output-dir chooses another): %w", err)
	}
	floatPath := filepath.Join(folder, demoModel)
	if err := extract(embedded, demoModel, floatPath); err != nil {
		return err
	}
	model, err := octet.Load(floatPath, octet.LoadOptions{})
	if err != nil {
		return err
	}
	samples := func(offset, limit int) (*octet.FileSamples, error) {
		return octet.ReadSamples(embedded, demoSamples, model.Inputs(), octet.SampleOptions{
			Preprocess: demoPreprocess, Labels: demoLabels, Offset: offset, Limit: limit,
		})
	}
	quantizedPath := filepath.Join(folder, "kws.int8.onnx")
	report, err := demoQuantize(ctx, model, samples, quantizedPath, stderr)
	if err != nil {
		return err
	}
	quantized, err := octet.Load(quantizedPath, octet.LoadOptions{})
	if err != nil {
		return err
	}
	models := []*octet.Model{model, quantized}
	rest, err := samples(demoCalibration, 0)
	if err != nil {
		return err
	}
	evaluation, err := evaluateOn(ctx, models, rest, stderr, octet.EvaluateOptions{})
	if err != nil {
		return err
	}
	times, err := benchOn(ctx, models, octet.BenchOptions{Threads: 1, Duration: duration}, stderr)
	if err != nil {
		return err
	}
	writeDemo(stdout, models, report, evaluation, times)
	return nil
}

// extract copies an embedded file to where the user can have it.
func extract(embedded fs.FS, name, path string) error {
	data, err := fs.ReadFile(embedded, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("this octet was built without the demo's files: %w", err)
	}
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func demoQuantize(ctx context.Context, m *octet.Model, samples func(offset, limit int) (*octet.FileSamples, error), path string, stderr io.Writer) (*octet.QuantizeReport, error) {
	first, err := samples(0, demoCalibration)
	if err != nil {
		return nil, err
	}
	show, done := progress(stderr, "calibrating")
	defer done()
	quantized, report, err := m.Quantize(ctx, first, octet.QuantizeOptions{
		Preprocess: demoPreprocess, Calibrate: octet.CalibrateOptions{Progress: show},
	})
	if err != nil {
		return nil, err
	}
	return report, quantized.Save(path, octet.SaveOptions{})
}

func writeDemo(w io.Writer, models []*octet.Model, report *octet.QuantizeReport, e *octet.Evaluation, times []octet.BenchResult) {
	float, integer := e.Models[0], e.Models[1]
	fmt.Fprintf(w, "Keyword spotting, 12 words: calibrated on %s, measured on %d others. %.1f %% of the work is done in integers.\n\n",
		count(demoCalibration, "sample"), float.N, 100*report.IntegerShare)
	var t table
	t.add("", "float", "int8")
	t.add("file size", bytesText(models[0].FileSize()), bytesText(models[1].FileSize()))
	t.add("right answers (95 %)", interval(float.Top1, float.Top1Interval), interval(integer.Top1, integer.Top1Interval))
	t.add("same answer as float (95 %)", "", interval(integer.Agreement, integer.AgreementInterval))
	t.add("median latency, 1 thread", milliseconds(times[0].Median), milliseconds(times[1].Median))
	t.add("file", models[0].Path(), models[1].Path())
	t.write(w)
	fmt.Fprintf(w, "\nMeasured now, on this machine: int8 is %.2fx as fast, its file %.2fx smaller.\n",
		float64(times[0].Median)/float64(times[1].Median), float64(models[0].FileSize())/float64(models[1].FileSize()))
	fmt.Fprintf(w, "Next: octet inspect %s\n", quoted(models[1].Path()))
}
