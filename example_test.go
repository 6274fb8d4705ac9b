package octet_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

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

func ExampleSession_NewState() {
	// A counter: it adds its input to a variable, which begins with [1 2].
	m, err := octet.Load("testdata/state/counter.tflite", octet.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	session, err := m.Compile(octet.CompileOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	state := session.NewState() // one for each stream
	in, out := []*tensor.Tensor{tensor.Of([]float32{1, 1}, 2)}, make([]*tensor.Tensor, 1)
	for range 3 {
		if err := session.RunInto(context.Background(), in, out, &octet.RunOptions{State: state}); err != nil {
			log.Fatal(err)
		}
		fmt.Println(tensor.Values[float32](out[0]))
	}
	// Output:
	// [2 3]
	// [3 4]
	// [4 5]
}

func ExampleModel_Compile() {
	// Values inside of the network can be asked for by name, and the reference interpreter says what is right.
	m := load()
	var answers [2]*tensor.Tensor
	for i, o := range []octet.CompileOptions{{Keep: []string{"Identity"}}, {Reference: true}} {
		session, err := m.Compile(o)
		if err != nil {
			log.Fatal(err)
		}
		defer session.Close()
		out, err := session.Run(context.Background(), map[string]*tensor.Tensor{"input_1": tensor.New(tensor.Float32, 1, 49, 10, 1)})
		if err != nil {
			log.Fatal(err)
		}
		answers[i] = out["Identity"]
	}
	a, b := tensor.Values[float32](answers[0])[0], tensor.Values[float32](answers[1])[0]
	fmt.Println("the same within 1e-6:", a-b < 1e-6 && b-a < 1e-6)
	// Output: the same within 1e-6: true
}

func ExampleModel_WithShapes() {
	m, err := load().WithShapes(map[string][]int{"input_1": {4, 49, 10, 1}})
	if err != nil {
		log.Fatal(err) // a *octet.ShapeError lists all contradictions
	}
	fmt.Println(m.Outputs()[0])
	// Output: Identity f32[4,12]
}

func ExampleModel_Inspect() {
	s := load().Inspect()
	fmt.Println(*s.MACs, "multiply-accumulates,", s.Parameters.Count, "parameters")
	for _, o := range s.Operators {
		fmt.Println(o.Count, o.Op)
	}
	// Output:
	// 2656768 multiply-accumulates, 22604 parameters
	// 1 AveragePool
	// 9 Conv
	// 1 Flatten
	// 1 Gemm
	// 9 Relu
	// 1 Softmax
	// 1 Transpose
}

func ExampleBench() {
	results, err := octet.Bench(context.Background(), []*octet.Model{load()},
		octet.BenchOptions{Threads: 1, Duration: 100 * time.Millisecond, Operators: true})
	if err != nil {
		log.Fatal(err)
	}
	r := results[0]
	fmt.Println(r.MACs, "multiply-accumulates; measured:", r.Minimum > 0 && r.Minimum <= r.Median && len(r.Operators) > 0)
	// Output: 2656768 multiply-accumulates; measured: true
}

func ExampleReadSamples() {
	// Samples, too, may be embedded in the program.
	m := load()
	s, err := octet.ReadSamples(os.DirFS("cmd/octet/assets"), "samples.zip", m.Inputs(),
		octet.SampleOptions{Preprocess: features, Labels: "y_labels.csv", Limit: 2})
	if err != nil {
		log.Fatal(err)
	}
	for sample, err := range s.All(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(sample.Inputs["input_1"], sample.Label)
	}
	// Output:
	// f32[1,49,10,1] 7
	// f32[1,49,10,1] 6
}

func ExampleUnsupportedError() {
	m, err := octet.Load("testdata/unknown.onnx", octet.LoadOptions{}) // loading and inspecting it works
	if err != nil {
		log.Fatal(err)
	}
	_, err = m.Compile(octet.CompileOptions{})
	var unsupported *octet.UnsupportedError
	if errors.As(err, &unsupported) {
		for _, n := range unsupported.Nodes {
			fmt.Println(n.Name, n.Op)
		}
	}
	// Output:
	// first com.example.Swirl
	// second com.example.Twist
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
