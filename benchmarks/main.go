// Program benchmarks measures Octet, ONNX Runtime and TensorFlow Lite on the same files and numbers of threads, and
// writes what it found as a table and a drawing.
//
//	OCTET_ORT=FOLDER OCTET_TFLITE=FOLDER go run ./benchmarks
//
// Each engine runs in a process of its own, so that memory is told apart, and is given the same short windows of time
// in turns. On Linux a window in which other programs used the processors is discarded. See README.md beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/octet-nn/octet/internal/atomicfile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "benchmarks: interrupted; no results were written")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// settings are what the command line asks for.
type settings struct {
	only    string        // pattern of model names; "" means all
	threads []int         // numbers of threads to measure with
	windows int           // good windows to get of each engine
	window  time.Duration // how long an engine runs before the next has its turn
	shared  string        // folder of real models
	out     string        // folder of the results; "" means that they are only printed
	ort     string        // folder with ONNX Runtime
	tflite  string        // folder with TensorFlow Lite
	files   string        // folder of prepared models; "" for one that is removed at the end
	results string        // file to which results are added; "" for none
}

const defaultOut = "benchmarks"

func parse(args []string, stderr io.Writer) (s settings, serve string, err error) {
	f := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	f.SetOutput(stderr)
	threads := f.String("threads", "1,2", "numbers of threads, separated by commas")
	quick := f.Bool("quick", false, "few short windows, to see that everything works; results are printed, not kept")
	f.StringVar(&s.only, "only", "", "measure models whose names match this `pattern` (*, ?); results are printed, not kept")
	f.IntVar(&s.windows, "windows", 8, "good windows to measure of each engine and model")
	f.DurationVar(&s.window, "window", 300*time.Millisecond, "how long an engine runs before the next has its turn")
	f.StringVar(&s.shared, "shared", "", "`folder` of real models (default $OCTET_SHARED, or a folder named shared beside the checkout or a parent)")
	f.StringVar(&s.out, "out", "", "write README.md and results.svg into this `folder` (default "+defaultOut+" where everything is measured)")
	f.StringVar(&s.files, "files", "", "keep the models that are made for this in a `folder`, and use those that are there")
	f.StringVar(&s.results, "results", "", "add what is measured to this `file`; tables are made of all that it has, so that parts of the work can be done at different times")
	f.StringVar(&serve, "serve", "", "run this `model` as asked on standard input; the program starts itself this way")
	if err := f.Parse(args); err != nil {
		return s, "", err
	}
	if f.NArg() > 0 {
		return s, "", fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	for text := range strings.SplitSeq(*threads, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return s, "", fmt.Errorf("--threads %s: %q is no number of threads", *threads, text)
		}
		s.threads = append(s.threads, n)
	}
	if _, err := filepath.Match(s.only, ""); err != nil {
		return s, "", fmt.Errorf("--only %s: %w", s.only, err)
	}
	if *quick {
		s.windows, s.window = 2, 100*time.Millisecond
	}
	if s.windows < 1 || s.window <= 0 {
		return s, "", errors.New("--windows and --window must be positive")
	}
	if s.out == "" && !*quick && s.only == "" {
		s.out = defaultOut
	}
	s.ort, s.tflite = os.Getenv("OCTET_ORT"), os.Getenv("OCTET_TFLITE")
	return s, serve, nil
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	s, serve, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if serve != "" {
		return serveModel(ctx, serve, s.threads[0], stdin, stdout)
	}
	if s.out != "" {
		if info, err := os.Stat(s.out); err != nil || !info.IsDir() {
			return fmt.Errorf("--out %s is not a folder: start the program at the top of the checkout or name a folder", s.out)
		}
	}
	work := s.files
	if work == "" {
		if work, err = os.MkdirTemp("", "octet-benchmarks-"); err != nil {
			return err
		}
		defer os.RemoveAll(work)
	} else if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	r, err := measureAll(ctx, s, work, stderr)
	if err != nil {
		return err
	}
	if s.results != "" {
		if err := r.merge(s.results); err != nil {
			return err
		}
	}
	if s.out == "" {
		_, err := io.WriteString(stdout, r.markdown())
		return err
	}
	return r.save(s.out)
}

// save replaces the results in the folder: both files are written when everything is measured, each whole or not at all.
func (r *report) save(dir string) error {
	path := filepath.Join(dir, "README.md")
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	page, err := insert(string(old), r.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, text := range map[string]string{"README.md": page, "results.svg": r.svg()} {
		err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
