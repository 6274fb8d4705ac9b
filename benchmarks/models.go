package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/internal/testmodel"
	"github.com/octet-nn/octet/tensor"
)

// model is a network to measure: the files that all engines are given.
type model struct {
	name   string
	shared string // file in the shared folder; "" for an architecture with random weights
	tflite bool   // shared is an int8 file for TensorFlow Lite
	float  string // path of the float file
	int8   string // path of the quantized file
	macs   int64  // multiply-accumulates of a run
}

// models lists what is measured.
func models() []*model {
	list := []*model{
		{name: "mobilenet_v2", shared: "onnx/mobilenet_v2_dq.onnx"},
		{name: "squeezenet1.1", shared: "onnx/squeezenet1.1_fp32.onnx"},
		{name: "resnet20_cifar10", shared: "onnx/resnet20_cifar10.onnx"},
	}
	for _, name := range testmodel.Names() {
		list = append(list, &model{name: name})
	}
	for _, name := range []string{"ic", "vww", "kws", "ad", "sww"} {
		list = append(list, &model{name: "mlperf_tiny_" + name, shared: "tflite/mlperf_tiny/" + name + "_int8.tflite", tflite: true})
	}
	return list
}

// selected are the models whose names match.
func selected(pattern string) ([]*model, error) {
	var list []*model
	var names []string
	for _, m := range models() {
		names = append(names, m.name)
		if match, err := filepath.Match(pattern, m.name); err != nil {
			return nil, err
		} else if match || pattern == "" {
			list = append(list, m)
		}
	}
	if list == nil {
		return nil, fmt.Errorf("--only %s matches no model; there are %s", pattern, strings.Join(names, ", "))
	}
	return list, nil
}

// prepare makes the files: the float one is the shared file or an architecture written as ONNX, the int8 one is made of
// it by our own quantization and spelled with uint8 activations, which is what ONNX Runtime is fastest on.
func (m *model) prepare(ctx context.Context, shared, work string) error {
	source := filepath.Join(shared, filepath.FromSlash(m.shared))
	if m.shared != "" {
		if shared == "" {
			return fmt.Errorf("the shared folder of models is not here (--shared)")
		}
		if _, err := os.Stat(source); err != nil {
			return fmt.Errorf("%s is not in the shared folder", m.shared)
		}
	} else {
		source = filepath.Join(work, m.name+".onnx")
		if !exists(source) {
			err := atomicfile.Write(source, func(w io.Writer) error {
				return onnx.Write(w, testmodel.New(m.name), onnx.WriteOptions{})
			})
			if err != nil {
				return err
			}
		}
	}
	loaded, err := octet.Load(source, octet.LoadOptions{})
	if err != nil {
		return err
	}
	if macs := loaded.Inspect().MACs; macs != nil {
		m.macs = *macs
	}
	if m.tflite {
		m.int8 = source
		return nil
	}
	m.float, m.int8 = source, filepath.Join(work, m.name+".int8.onnx")
	if exists(m.int8) {
		return nil
	}
	samples := make([]octet.Sample, 2)
	for i := range samples {
		named := map[string]*tensor.Tensor{}
		for k, t := range randomInputs(loaded.Inputs(), uint64(i)) {
			named[loaded.Inputs()[k].Name] = t
		}
		samples[i] = octet.Sample{ID: fmt.Sprint("random ", i), Inputs: named, Label: -1}
	}
	// Accuracy is not what is measured here: few samples and the quickest method do.
	quantized, _, err := loaded.Quantize(ctx, octet.SliceSamples(samples...), octet.QuantizeOptions{Method: "percentile"})
	if err != nil {
		return err
	}
	return quantized.Save(m.int8, octet.SaveOptions{Activations: tensor.Uint8})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sharedFolder is the folder of models that the command line names, or the one that tests use.
func sharedFolder(named string) string {
	if named != "" {
		return named
	}
	return testdata.SharedRoot()
}
