package octet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// The files in testdata/state are what stock TensorFlow Lite 2.9 answered when one interpreter was invoked on the four
// samples of the shared goldens, one after the other: its variable tensors persist.
func TestStateGoesOnLikeTensorFlowLite(t *testing.T) {
	for _, name := range []string{"mnist_lstm_float", "mnist_lstm_int8"} {
		for _, reference := range []bool{false, true} {
			t.Run(fmt.Sprint(name, reference), func(t *testing.T) {
				m, err := Load(testdata.Shared(t, "tflite", "misc", name+".tflite"), LoadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if len(m.States()) != 2 || len(m.Inputs()) != 1 || len(m.Outputs()) != 1 || len(m.Inspect().States) != 2 {
					t.Fatalf("states %v, inputs %v, outputs %v", m.States(), m.Inputs(), m.Outputs())
				}
				want, err := os.ReadFile(filepath.Join("testdata", "state", name+".raw"))
				if err != nil {
					t.Fatal(err)
				}
				s, err := m.Compile(CompileOptions{Threads: 1, Reference: reference})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				golden := testdata.Shared(t, "golden", "tflite")
				st := s.NewState()
				for round := range 2 {
					st.Reset()
					var got []byte
					for k := range 4 {
						data, err := os.ReadFile(filepath.Join(golden, fmt.Sprintf("misc__%s.s%d.in0.raw", name, k)))
						if err != nil {
							t.Fatal(err)
						}
						x, err := tensor.FromBytes(m.Inputs()[0].DType, m.Inputs()[0].Shape, data)
						if err != nil {
							t.Fatal(err)
						}
						out := make([]*tensor.Tensor, 1)
						if err := s.RunInto(context.Background(), []*tensor.Tensor{x}, out, &RunOptions{State: st}); err != nil {
							t.Fatal(err)
						}
						got = append(got, out[0].Bytes()...)
						if k == 1 { // a run without it neither sees nor changes it
							if _, err := s.Run(context.Background(), map[string]*tensor.Tensor{m.Inputs()[0].Name: x}); err != nil {
								t.Fatal(err)
							}
						}
					}
					compareSteps(t, m.Outputs()[0].DType, round, got, want)
				}
			})
		}
	}
}

// compareSteps wants the same codes, or floats within 1e-5.
func compareSteps(t *testing.T, dtype tensor.DType, round int, got, want []byte) {
	t.Helper()
	if dtype != tensor.Float32 {
		if !bytes.Equal(got, want) {
			t.Errorf("round %d: answers\n%x, stock gives\n%x", round, got, want)
		}
		return
	}
	g, err := tensor.FromBytes(dtype, []int{len(want) / 4}, got)
	if err != nil {
		t.Fatal(err)
	}
	w, _ := tensor.FromBytes(dtype, []int{len(want) / 4}, want)
	for i, v := range tensor.Values[float32](w) {
		if d := tensor.Values[float32](g)[i] - v; d > 1e-5 || d < -1e-5 {
			t.Errorf("round %d: answer %d is %v, stock gives %v", round, i, tensor.Values[float32](g)[i], v)
		}
	}
}

// step runs a session of one float input once and gives its first output.
func step(t *testing.T, s *Session, st *State, values ...float32) []float32 {
	t.Helper()
	out := make([]*tensor.Tensor, len(s.Outputs()))
	in := tensor.Of(values, s.Inputs()[0].Shape...)
	if err := s.RunInto(context.Background(), []*tensor.Tensor{in}, out, &RunOptions{State: st}); err != nil {
		t.Fatal(err)
	}
	return tensor.Values[float32](out[0])
}

func TestStatesAreIndependent(t *testing.T) {
	m, err := Load(filepath.Join("testdata", "state", "counter.tflite"), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Compile(CompileOptions{Keep: []string{"before"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if len(s.Outputs()) != 2 || s.Outputs()[1].Name != "before" {
		t.Fatalf("outputs %v", s.Outputs())
	}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			st := s.NewState()
			for k := range 20 {
				out := make([]*tensor.Tensor, 2)
				x := tensor.Of([]float32{float32(g), 1}, 2)
				if err := s.RunInto(context.Background(), []*tensor.Tensor{x}, out, &RunOptions{State: st}); err != nil {
					t.Error(err)
					return
				}
				y := tensor.Values[float32](out[0])
				if y[0] != float32(1+g*(k+1)) || y[1] != float32(3+k) {
					t.Errorf("goroutine %d, run %d: %v", g, k, y)
				}
			}
		})
	}
	group.Wait()
	one := s.NewState()
	for range 16 { // runs with the same state wait for each other
		group.Go(func() { step(t, s, one, 1, 1) })
	}
	group.Wait()
	if y := step(t, s, one, 1, 1); y[0] != 18 {
		t.Errorf("after 17 runs the counter is %v", y)
	}
	out, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": tensor.Of([]float32{1, 1}, 2)})
	if err != nil || tensor.Values[float32](out["y"])[0] != 2 || len(out) != 2 {
		t.Errorf("a run without a state gives %v, %v", out, err)
	}
	if _, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": tensor.Of([]float32{1, 1}, 2), "state": tensor.New(tensor.Float32, 2)}); err == nil {
		t.Error("an input that does not exist was accepted")
	}
}

func TestFailedRunsLeaveTheState(t *testing.T) {
	m, err := Load(filepath.Join("testdata", "state", "counter.tflite"), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, reference := range []bool{false, true} {
		s, err := m.Compile(CompileOptions{Reference: reference})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		st := s.NewState()
		step(t, s, st, 1, 1)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		in, out := []*tensor.Tensor{tensor.Of([]float32{1, 1}, 2)}, make([]*tensor.Tensor, 1)
		if err := s.RunInto(ctx, in, out, &RunOptions{State: st}); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled run gives %v", err)
		}
		if err := s.RunInto(context.Background(), []*tensor.Tensor{tensor.New(tensor.Float32, 3)}, out, &RunOptions{State: st}); err == nil {
			t.Error("a wrong shape was accepted")
		}
		if y := step(t, s, st, 1, 1); y[0] != 3 {
			t.Errorf("reference %v: after two runs the counter is %v", reference, y)
		}
		other, err := m.Compile(CompileOptions{Reference: reference})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if err := other.RunInto(context.Background(), in, out, &RunOptions{State: st}); err == nil || !strings.Contains(err.Error(), "another session") {
			t.Errorf("another session's state: %v", err)
		}
	}
}

func TestStatesAllocateNothing(t *testing.T) {
	m, err := Load(filepath.Join("testdata", "state", "counter.tflite"), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Compile(CompileOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, out := []*tensor.Tensor{tensor.New(tensor.Float32, 2)}, []*tensor.Tensor{tensor.New(tensor.Float32, 2)}
	o := &RunOptions{State: s.NewState()}
	if n := testing.AllocsPerRun(20, func() {
		if err := s.RunInto(context.Background(), in, out, o); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A recurrent layer's state is written as TensorFlow Lite's variable tensors, which persist when the file is read again.
func TestVariablesAreWritten(t *testing.T) {
	for _, name := range []string{"mnist_lstm_float", "mnist_lstm_int8"} {
		m, err := Load(testdata.Shared(t, "tflite", "misc", name+".tflite"), LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "m.tflite")
		if err := m.Save(path, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		again, err := Load(path, LoadOptions{})
		if err != nil || len(again.States()) != 2 || len(again.Metadata()[MetadataStates]) > 0 {
			t.Errorf("%s: %v, metadata %v", name, err, again.Metadata())
		}
	}
}

// Names that are no UTF-8, of which JSON and protobuf know nothing, become names that ONNX can have.
func TestStatesWithNamesThatAreNoText(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "state", "counter.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"counter", "first", "value", "handle", "before"} {
		damaged := bytes.ReplaceAll(data, []byte(name), []byte(name[:len(name)-1]+"\xc3"))
		m, err := Read(fstest.MapFS{"m": {Data: damaged}}, "m", LoadOptions{})
		if err != nil || len(m.States()) != 1 || bytes.Equal(damaged, data) {
			t.Fatalf("%s: %v", name, err)
		}
		var file bytes.Buffer
		if err := m.Write(&file, SaveOptions{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := Read(fstest.MapFS{"m": {Data: file.Bytes()}}, "m", LoadOptions{})
		if err != nil || len(again.States()) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// recurrent is y = relu(W·[x, h]), h = y: quantized, it keeps its state in float beside integer layers.
const recurrent = `graph "recurrent"
input "x" f32[1,8]
input "h" f32[1,8]
const "w" f32[16,8] = seed 3
const "v" f32[8,8] = seed 4
"c" f32[1,16] = Concat "join" ("x", "h") {Axis: 1}
"z" f32[1,8] = MatMul "product" ("c", "w")
"next" f32[1,8] = Tanh "tanh" ("z")
"y" f32[1,8] = MatMul "result" ("next", "v")
output "y"
output "next"
state "h" becomes "next" = [0.5 0 0 0 0 0 0 -0.5]
`

// A streaming network is calibrated, quantized and saved, and goes on from run to run as before when it is loaded.
func TestStatesAreQuantizedAndSaved(t *testing.T) {
	g, err := graph.Parse(recurrent, op.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	float := &Model{graph: g}
	var list []Sample
	for i := range 16 {
		x := tensor.New(tensor.Float32, 1, 8)
		for j := range tensor.Values[float32](x) {
			tensor.Values[float32](x)[j] = float32((i*7+j*3)%11)/5 - 1
		}
		list = append(list, Sample{ID: fmt.Sprint(i), Inputs: map[string]*tensor.Tensor{"x": x}})
	}
	for _, name := range []string{"m.onnx", "m.tflite"} {
		q, report, err := float.Quantize(context.Background(), SliceSamples(list...), QuantizeOptions{Format: FormatOf(name)})
		if err != nil {
			t.Fatal(err)
		}
		if report.IntegerShare != 1 || len(q.States()) != 1 {
			t.Errorf("%s: %v of it integer, states %v", name, report.IntegerShare, q.States())
		}
		path := filepath.Join(t.TempDir(), name)
		if err := q.Save(path, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(path, LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(loaded.States()) != 1 || len(loaded.Inputs()) != 1 || len(loaded.Outputs()) != 1 || loaded.Metadata()[MetadataStates] != "" {
			t.Fatalf("%s: states %v, inputs %v, outputs %v", name, loaded.States(), loaded.Inputs(), loaded.Outputs())
		}
		steps := func(m *Model) (all []float32) {
			s, err := m.Compile(CompileOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			st := s.NewState()
			for i := range 5 {
				all = append(all, step(t, s, st, tensor.Values[float32](list[i].Inputs["x"])...)...)
			}
			return all
		}
		before, after, want := steps(q), steps(loaded), steps(float)
		for i := range before {
			if before[i] != after[i] {
				t.Errorf("%s: value %d was %v and is %v after saving", name, i, before[i], after[i])
			}
			// Calibration has only seen what begins with the initial state.
			if d := want[i] - after[i]; i < 8 && (d > 0.1 || d < -0.1) {
				t.Errorf("%s: value %d is %v, in float %v", name, i, after[i], want[i])
			}
		}
	}
}

func TestStatesThatAFileGetsWrong(t *testing.T) {
	g, err := graph.Parse(recurrent, op.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	g.States = nil
	for text, why := range map[string]string{
		`{`: "cannot be read", `[{"input":"h","output":"none"}]`: "no such input", `[{"input":"h","output":"y","initial":"AAAA"}]`: "no state",
		`[{"input":"x","output":"y"},{"input":"h","output":"y"}]`: "another state's",
	} {
		var file bytes.Buffer
		if err := (&Model{graph: g}).WithMetadata(map[string]string{MetadataStates: text}).Write(&file, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, LoadOptions{})
		var wrong *FormatError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "m.onnx") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
