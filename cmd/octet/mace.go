package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/suggest"
)

// Flags of MACE's tools that have no meaning here, by whether they take a value. They are accepted, so that scripts
// run as they are, and named in one note.
var (
	ignoredSwitches = []string{
		"example", "address_sanitizer", "debug_mode", "disable_tuning", "fake_warmup", "tune", "tuning", "build", "gencode_model",
		"gencode_param", "enable_micro", "disable_openmp", "static", "quantize", "simpleperf", "gpu_out_of_range_check", "cl_binary_to_code",
		"use_system_libhexagon_nn",
	}
	ignoredValues = []string{
		"target_abi", "target_abis", "target_soc", "target_socs", "device_yml", "device_conf", "caffe_env", "vlog_level", "cpu_affinity_policy",
		"gpu_perf_hint", "gpu_priority_hint", "runtime_failure_ratio", "runtime", "backend", "build_dir", "envs", "omp_num_threads",
		"model_graph_format", "model_data_format", "opencl_binary_file", "opencl_parameter_file", "opencl_cache_full_path",
		"opencl_cache_reuse_policy", "apu_boost_hint", "apu_preference_hint", "apu_cache_policy", "apu_binary_file", "apu_storage_file",
		"accelerator_cache_policy", "accelerator_binary_file", "accelerator_storage_file", "malloc_check_cycle", "mace_lib_type",
		"cl_mem_type", "address_sanitizer_path", "input_node", "output_node", "input_shape", "output_shape", "model_file",
		"model_data_file", "device", "apu_path", "hexagon_unsigned_pd", "min_rss", "devices_to_run", "input_data_type", "output_data_type",
	}
)

// maceFlags are what commands on deployment files have in common.
type maceFlags struct {
	config     string
	model      string
	output     string
	arithmetic *choice
}

// add adds the flags; usual is the word of --arithmetic for what happens without it.
func (f *maceFlags) add(cmd *cobra.Command, usual ...string) {
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "MACE deployment `file` (YAML)")
	flags.StringVar(&f.model, "model_name", "", "only this model of --config")
	flags.StringVar(&f.output, "output", "build", "`folder` of converted models: <library_name>/model/<model_name>.onnx in it")
	f.arithmetic = newChoice(append(usual, "onnx", "mace")...)
	flags.Var(f.arithmetic, "arithmetic", "how integers are rounded: as in ONNX Runtime, or as in MACE's kernels")
	for _, name := range ignoredSwitches {
		flags.Bool(name, false, "")
	}
	for _, name := range ignoredValues {
		flags.String(name, "", "")
	}
	for _, name := range slices.Concat(ignoredSwitches, ignoredValues) {
		if err := flags.MarkHidden(name); err != nil {
			panic(err) // the flag was made just above
		}
	}
	flags.SetNormalizeFunc(underscores)
}

// underscores makes - and _ the same in names of flags.
func underscores(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
}

// load reads the deployment file and says on stderr what is doubtful in it and what has no meaning here.
func (f *maceFlags) load(cmd *cobra.Command) (*deploy.File, []deploy.Model, error) {
	file, err := deploy.Load(f.config, os.LookupEnv)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range file.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s\n", w)
	}
	notes := file.Notes
	if ignored := f.ignored(cmd); len(ignored) > 0 {
		notes = append(notes, strings.Join(ignored, ", ")+": accepted, without a meaning here")
	}
	for _, n := range notes {
		fmt.Fprintf(cmd.ErrOrStderr(), "Note: %s\n", n)
	}
	models := file.Models
	if f.model != "" {
		m := file.Model(f.model)
		if m == nil {
			var names []string
			for _, m := range file.Models {
				names = append(names, m.Name)
			}
			return nil, nil, usagef("%s has no model %q%s; its models are %s", f.config, f.model, suggest.DidYouMean(f.model, names), strings.Join(names, ", "))
		}
		models = []deploy.Model{*m}
	}
	return file, models, nil
}

// isYAML reports whether a file is a deployment file by its name.
func isYAML(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".yml" || ext == ".yaml"
}

// ignored are the flags on the command line that have no meaning here.
func (f *maceFlags) ignored(cmd *cobra.Command) []string {
	var names []string
	for _, name := range slices.Concat(ignoredSwitches, ignoredValues) {
		if cmd.Flags().Changed(name) {
			names = append(names, "--"+name)
		}
	}
	return names
}

// row is the row of --arithmetic; None if it names none.
func (f *maceFlags) row() numeric.Arithmetic {
	switch f.arithmetic.value {
	case "mace":
		return numeric.MACE
	case "onnx":
		return numeric.ONNX
	}
	return numeric.None
}

// warner prints warnings, each once.
func warner(cmd *cobra.Command) func(string) {
	said := map[string]bool{}
	return func(text string) {
		if !said[text] {
			said[text] = true
			fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s\n", text)
		}
	}
}
