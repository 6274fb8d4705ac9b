package octet_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/tensor"
)

// The examples use the model and samples that the octet program embeds.
const (
	model      = "cmd/octet/assets/kws.onnx"
	recordings = "cmd/octet/assets/samples.zip"
	features   = "{quantized: {type: i8, scale: 0.5847029, zero_point: 83}}"
)

func load() *octet.Model {
	m, err := octet.Load(model, octet.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	return m
}

func samples(m *octet.Model, offset, limit int) octet.Samples {
	s, err := octet.OpenSamples(recordings, m.Inputs(), octet.SampleOptions{
		Preprocess: features, Labels: "y_labels.csv", Offset: offset, Limit: limit,
	})
	if err != nil {
		log.Fatal(err)
	}
	return s
}

// The whole way, with samples that the program makes itself.
func Example() {
	ctx := context.Background()
	m, err := octet.Load(model, octet.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	var made []octet.Sample
	for i := range 40 {
		x := tensor.New(tensor.Float32, 1, 49, 10, 1)
		values := tensor.Values[float32](x)
		for j := range values {
			values[j] = float32((i+1)*(j%19) - 200)
		}
		made = append(made, octet.Sample{ID: fmt.Sprint(i), Inputs: map[string]*tensor.Tensor{"input_1": x}})
	}
	q, report, err := m.Quantize(ctx, octet.SliceSamples(made...), octet.QuantizeOptions{})
	if err != nil {
		log.Fatal(err)
	}
	session, err := q.Compile(octet.CompileOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	out, err := session.Run(ctx, made[0].Inputs)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.0f %% on integers, result %v\n", 100*report.IntegerShare, out["Identity"])
	// Output: 100 % on integers, result f32[1,12]
}

func ExampleLoad() {
	m, err := octet.Load(model, octet.LoadOptions{})
	var format *octet.FormatError
	switch {
	case errors.As(err, &format):
		log.Fatal("not a model this program reads: ", format.Why)
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println(m.Inputs()[0])
	fmt.Println(m.Outputs()[0])
	// Output:
	// input_1 f32[N,49,10,1]
	// Identity f32[N,12]
}

func ExampleRead() {
	// Any fs.FS will do, such as an embed.FS in the program.
	m, err := octet.Read(os.DirFS("cmd/octet/assets"), "kws.onnx", octet.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(m.Inputs()), "input")
	// Output: 1 input
}

func ExampleModel_Quantize() {
	ctx := context.Background()
	m := load()
	q, report, err := m.Quantize(ctx, samples(m, 0, 50), octet.QuantizeOptions{Preprocess: features})
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "octet")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := q.Save(filepath.Join(dir, "kws.int8.onnx"), octet.SaveOptions{}); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.0f %% on integers\n", 100*report.IntegerShare)
	for _, n := range report.Islands() {
		fmt.Println(n.Op, "stays float:", n.Reason)
	}
	// Output:
	// 100 % on integers
	// Softmax stays float: it comes after the last layer, where 8-bit steps would coarsen the results
}

func ExampleRanges_Merge() {
	// Two machines calibrate on a share each.
	ctx := context.Background()
	m := load()
	first, err := m.Calibrate(ctx, samples(m, 0, 25), octet.CalibrateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	second, err := m.Calibrate(ctx, samples(m, 25, 25), octet.CalibrateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := first.Merge(second); err != nil {
		log.Fatal(err)
	}
	_, _, err = m.QuantizeRanges(ctx, first, octet.QuantizeOptions{Method: "mse"})
	fmt.Println(first.Samples(), "samples", err)
	// Output: 50 samples <nil>
}

func ExampleSession_Run() {
	m := load()
	session, err := m.Compile(octet.CompileOptions{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	x := tensor.New(tensor.Float32, 1, 49, 10, 1) // silence
	out, err := session.Run(context.Background(), map[string]*tensor.Tensor{"input_1": x})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out["Identity"])
	// Output: f32[1,12]
}

func ExampleSession_RunInto() {
	// With tensors of the right shapes, a run allocates nothing.
	m := load()
	session, err := m.Compile(octet.CompileOptions{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	in := []*tensor.Tensor{tensor.New(tensor.Float32, 2, 49, 10, 1)}
	out := []*tensor.Tensor{tensor.New(tensor.Float32, 2, 12)}
	for range 3 {
		if err := session.RunInto(context.Background(), in, out, nil); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(out[0])
	// Output: f32[2,12]
}

func ExampleEvaluate() {
	ctx := context.Background()
	m := load()
	q, _, err := m.Quantize(ctx, samples(m, 0, 50), octet.QuantizeOptions{})
	if err != nil {
		log.Fatal(err)
	}
	e, err := octet.Evaluate(ctx, []*octet.Model{m, q}, samples(m, 50, 0), octet.EvaluateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Models[1].N, "samples, same answer on more than 97 %:", e.Models[1].Agreement > 0.97)
	// Output: 150 samples, same answer on more than 97 %: true
}

func ExampleSliceSamples() {
	x := tensor.Of(make([]float32, 490), 1, 49, 10, 1)
	s := octet.SliceSamples(octet.Sample{ID: "first", Inputs: map[string]*tensor.Tensor{"input_1": x}, Label: 3})
	fmt.Println(s.Len())
	// Output: 1
}
