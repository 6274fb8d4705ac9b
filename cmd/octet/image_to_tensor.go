package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/mace/flow"
	"github.com/octet-nn/octet/internal/mace/image"
)

func imageToTensorCommand() *cobra.Command {
	var input, outputDir, shape, mean, prefix string
	cmd := &cobra.Command{
		Use:     "image-to-tensor --input IMAGES --image_shape HEIGHT,WIDTH,CHANNELS [flags]",
		Aliases: []string{"image_to_tensor"},
		Short:   "Make MACE input files of images",
		Long: `Make raw little-endian float32 files (NHWC) of a JPEG, PNG, GIF, BMP or WebP image or of a folder of them, as MACE's
tools/image/image_to_tensor.py does: pixels to −1…1, or (pixel − mean)/255; resized to the shape without cropping, by
TensorFlow's old bilinear sampling. With --prefix the files are named as octet run --input_dir wants them; without, name.dat.`,
		Example: `  octet image-to-tensor --input photos/ --output_dir samples --image_shape 224,224,3 --prefix input`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if input == "" || shape == "" {
				return usagef("image-to-tensor needs --input and --image_shape: %s", cmd.UseLine())
			}
			o, err := imageOptions(shape, mean)
			if err != nil {
				return &usageError{err}
			}
			files, err := imageFiles(input)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(outputDir, 0o755); err != nil {
				return err
			}
			report, done := progress(cmd.ErrOrStderr(), "images")
			defer done()
			var problems []error
			written := map[string]string{}
			for i, file := range files {
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) + ".dat"
				if prefix != "" {
					name = flow.FormatName(prefix) + "_" + strings.TrimSuffix(name, ".dat")
				}
				if other := written[name]; other != "" {
					problems = append(problems, fmt.Errorf("%s would become %s, as %s did", file, name, other))
					continue
				}
				if err := writeImage(file, filepath.Join(outputDir, name), o); err != nil {
					problems = append(problems, err)
					continue
				}
				written[name] = file
				if report != nil {
					report(i+1, len(files))
				}
			}
			done()
			fmt.Fprintf(cmd.ErrOrStderr(), "wrote %d files of %d bytes to %s\n", len(written), 4*o.Height*o.Width*o.Channels, outputDir)
			if len(written) == 0 {
				return fmt.Errorf("none of %d images could be written: %w", len(files), errors.Join(problems...))
			}
			if len(problems) > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "octet: warning: %d of %d images were not written: %v\n", len(problems), len(files), errors.Join(problems...))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SetNormalizeFunc(underscores)
	flags.StringVar(&input, "input", "", "image file, or folder of images")
	flags.StringVar(&outputDir, "output_dir", ".", "folder to write to")
	flags.StringVar(&shape, "image_shape", "", "height,width,channels of the tensor; channels 1 or 3")
	flags.StringVar(&mean, "mean", "", "mean of each channel: pixels become (pixel − mean)/255 instead of pixel/127.5 − 1")
	flags.StringVar(&prefix, "prefix", "", "name of the input tensor, for file names that octet run --input_dir finds")
	return cmd
}

func imageOptions(shape, mean string) (image.Options, error) {
	var o image.Options
	fields := strings.Split(shape, ",")
	sizes := make([]int, len(fields))
	for i, f := range fields {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || len(fields) != 3 {
			return o, fmt.Errorf("--image_shape %q: wants height,width,channels, for example 224,224,3", shape)
		}
		sizes[i] = n
	}
	o.Height, o.Width, o.Channels = sizes[0], sizes[1], sizes[2]
	if mean != "" {
		for _, f := range strings.Split(mean, ",") {
			v, err := strconv.ParseFloat(strings.TrimSpace(f), 64)
			if err != nil || v-v != 0 {
				return o, fmt.Errorf("--mean %q: wants one number for each channel, for example 123.7,116.8,103.9", mean)
			}
			o.Mean = append(o.Mean, v)
		}
	}
	return o, o.Check()
}

// imageFiles is the files of a folder, sorted, or the file itself.
func imageFiles(input string) ([]string, error) {
	info, err := os.Stat(input)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{input}, nil
	}
	entries, err := os.ReadDir(input)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(input, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no files", input)
	}
	return files, nil
}

func writeImage(file, to string, o image.Options) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	t, err := image.Tensor(data, o)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return atomicfile.Write(to, func(w io.Writer) error {
		_, err := w.Write(t)
		return err
	})
}
