// Package image makes input files of images as MACE's tools/image/image_to_tensor.py does.
package image

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/dataset"
)

// maxPixels bounds images of unknown origin.
const maxPixels = 1 << 26

// Options say what becomes of an image.
type Options struct {
	Height, Width, Channels int       // of the tensor; 1 or 3 channels
	Mean                    []float64 // per channel: (pixel − mean)/255. Without it: pixel/127.5 − 1
}

// Check reports options that make no sense.
func (o *Options) Check() error {
	switch {
	case o.Height < 1 || o.Width < 1 || o.Height > 1<<14 || o.Width > 1<<14:
		return fmt.Errorf("an image of %d×%d: wants sides from 1 to 16384", o.Height, o.Width)
	case o.Channels != 1 && o.Channels != 3:
		return fmt.Errorf("%d channels: wants 1 or 3", o.Channels)
	case len(o.Mean) != 0 && len(o.Mean) != o.Channels:
		return fmt.Errorf("%d means for %d channels", len(o.Mean), o.Channels)
	}
	return nil
}

// Tensor is an image file as little-endian float32, rows of pixels of channels (NHWC): normalized, then resized to the
// wanted size regardless of its shape, without cropping, by TensorFlow's old bilinear sampling (align_corners and
// half_pixel_centers false).
func Tensor(data []byte, o Options) ([]byte, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	width, height, pixels, err := dataset.DecodeImage(data, maxPixels, o.Channels)
	if err != nil {
		return nil, err
	}
	normalized := make([]float32, len(pixels))
	for i, p := range pixels {
		if len(o.Mean) > 0 {
			normalized[i] = (float32(p) - float32(o.Mean[i%o.Channels])) / 255
		} else {
			normalized[i] = (float32(p)/255 - 0.5) * 2
		}
	}
	resized := resize(normalized, height, width, o)
	out := make([]byte, 0, 4*len(resized))
	for _, v := range resized {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out, nil
}

// resize samples with float32 arithmetic: output i lies at i·in/out, between the elements below and above.
func resize(x []float32, height, width int, o Options) []float32 {
	place := func(i, in, out int) (below, above int, t float32) {
		at := float32(float32(i) * (float32(in) / float32(out))) // rounded, so that it is the same on all processors
		below = min(int(at), in-1)
		return below, min(below+1, in-1), at - float32(below)
	}
	out := make([]float32, 0, o.Height*o.Width*o.Channels)
	for i := range o.Height {
		top, bottom, ty := place(i, height, o.Height)
		for j := range o.Width {
			left, right, tx := place(j, width, o.Width)
			for c := range o.Channels {
				at := func(y, x1 int) float32 { return x[(y*width+x1)*o.Channels+c] }
				upper := at(top, left) + float32((at(top, right)-at(top, left))*tx)
				lower := at(bottom, left) + float32((at(bottom, right)-at(bottom, left))*tx)
				out = append(out, upper+float32((lower-upper)*ty))
			}
		}
	}
	return out
}
