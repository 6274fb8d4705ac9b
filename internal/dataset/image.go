package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

// picture is a decoded image: rows of 8-bit pixels with one (gray) or three (red, green, blue) channels.
type picture struct {
	width, height, channels int
	pixels                  []byte
}

// imageFormats are the files that can be decoded, known by how they begin ("?" is any byte).
var imageFormats = []struct {
	name, magic string
	decode      func(io.Reader) (image.Image, error)
	config      func(io.Reader) (image.Config, error)
}{
	{"JPEG", "\xff\xd8\xff", jpeg.Decode, jpeg.DecodeConfig},
	{"PNG", "\x89PNG\r\n\x1a\n", png.Decode, png.DecodeConfig},
	{"GIF", "GIF8?a", gif.Decode, gif.DecodeConfig},
	{"BMP", "BM", bmp.Decode, bmp.DecodeConfig},
	{"WebP", "RIFF????WEBP", webp.Decode, webp.DecodeConfig},
}

// imageFormat is the position in imageFormats of the format that data begins like, -1 if none.
func imageFormat(data []byte) int {
formats:
	for i, f := range imageFormats {
		if len(data) < len(f.magic) {
			continue
		}
		for j := range len(f.magic) {
			if f.magic[j] != '?' && f.magic[j] != data[j] {
				continue formats
			}
		}
		return i
	}
	return -1
}

// decodeImage is decodeStored with the image turned as its EXIF orientation says.
func decodeImage(data []byte, maxPixels int) (*picture, error) {
	p, err := decodeStored(data, maxPixels)
	if err == nil && imageFormats[imageFormat(data)].name == "JPEG" {
		p = p.oriented(exifOrientation(data))
	}
	return p, err
}

// DecodeImage decodes an image of at most maxPixels pixels to rows of red, green and blue (channels 3) or gray
// (channels 1) bytes, as it is stored: what EXIF says of its orientation does not matter.
func DecodeImage(data []byte, maxPixels, channels int) (width, height int, pixels []byte, err error) {
	p, err := decodeStored(data, maxPixels)
	if err != nil {
		return 0, 0, nil, err
	}
	switch {
	case channels == 1:
		p = p.gray()
	case channels != 3:
		return 0, 0, nil, fmt.Errorf("%d channels: wants 1 or 3", channels)
	case p.channels == 1:
		colored := make([]byte, 0, 3*len(p.pixels))
		for _, v := range p.pixels {
			colored = append(colored, v, v, v)
		}
		p = &picture{p.width, p.height, 3, colored}
	}
	return p.width, p.height, p.pixels, nil
}

// decodeStored decodes an image of at most maxPixels pixels. Of an animation it takes the first picture; transparent
// parts are shown on white; 16 bits a channel become 8.
func decodeStored(data []byte, maxPixels int) (p *picture, err error) {
	i := imageFormat(data)
	if i < 0 {
		return nil, errors.New("not a JPEG, PNG, GIF, BMP or WebP image")
	}
	format := imageFormats[i]
	// The decoders are other people's code for hostile files: a bug in one of them costs an image, not the program.
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("the %s decoder failed: %v", format.name, r)
		}
	}()
	config, err := format.config(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("bad %s: %w", format.name, noEOF(err))
	}
	if config.Width <= 0 || config.Height <= 0 {
		return nil, fmt.Errorf("bad %s: it is %d×%d", format.name, config.Width, config.Height)
	}
	if config.Width > maxPixels/config.Height {
		return nil, fmt.Errorf("%d×%d pixels are more than the limit of %d", config.Width, config.Height, maxPixels)
	}
	img, err := format.decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("bad %s: %w", format.name, noEOF(err))
	}
	if img.Bounds().Empty() {
		return nil, fmt.Errorf("bad %s: it has no pixels", format.name)
	}
	return pictureOf(img), nil
}

// pictureOf copies an image's pixels.
func pictureOf(img image.Image) *picture {
	b := img.Bounds()
	width, height := b.Dx(), b.Dy()
	p := &picture{width, height, 3, nil}
	switch img := img.(type) {
	case *image.Gray:
		p.channels, p.pixels = 1, make([]byte, width*height)
		for y := range height {
			copy(p.pixels[y*width:(y+1)*width], img.Pix[img.PixOffset(b.Min.X, b.Min.Y+y):])
		}
		return p
	case *image.Gray16:
		p.channels, p.pixels = 1, make([]byte, width*height)
		for i := range p.pixels {
			p.pixels[i] = byte(img.Gray16At(b.Min.X+i%width, b.Min.Y+i/width).Y >> 8)
		}
		return p
	}
	p.pixels = make([]byte, 3*width*height)
	if img, ok := img.(*image.YCbCr); ok {
		i := 0
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				luma, chroma := img.YOffset(x, y), img.COffset(x, y)
				red, green, blue := color.YCbCrToRGB(img.Y[luma], img.Cb[chroma], img.Cr[chroma])
				p.pixels[i], p.pixels[i+1], p.pixels[i+2] = red, green, blue
				i += 3
			}
		}
		return p
	}
	// Row by row, so that a large picture is in memory only once more.
	row := image.NewRGBA(image.Rect(0, 0, width, 1))
	for y := range height {
		draw.Draw(row, row.Rect, image.White, image.Point{}, draw.Src)
		draw.Draw(row, row.Rect, img, image.Pt(b.Min.X, b.Min.Y+y), draw.Over)
		for x := range width {
			copy(p.pixels[3*(y*width+x):][:3], row.Pix[4*x:])
		}
	}
	return p
}

// gray is the luma of a picture, as ITU-R 601 weighs the colours, in Pillow's integer arithmetic.
func (p *picture) gray() *picture {
	if p.channels == 1 {
		return p
	}
	g := &picture{p.width, p.height, 1, make([]byte, p.width*p.height)}
	for i := range g.pixels {
		red, green, blue := uint32(p.pixels[3*i]), uint32(p.pixels[3*i+1]), uint32(p.pixels[3*i+2])
		g.pixels[i] = byte((19595*red + 38470*green + 7471*blue + 0x8000) >> 16)
	}
	return g
}

// oriented turns and mirrors a picture whose EXIF orientation is the given one so that it stands upright.
func (p *picture) oriented(orientation int) *picture {
	if orientation < 2 || orientation > 8 {
		return p
	}
	w, h := p.width, p.height
	q := &picture{w, h, p.channels, make([]byte, len(p.pixels))}
	if orientation >= 5 {
		q.width, q.height = h, w
	}
	for y := range q.height {
		for x := range q.width {
			fromX, fromY := x, y
			switch orientation {
			case 2:
				fromX = w - 1 - x
			case 3:
				fromX, fromY = w-1-x, h-1-y
			case 4:
				fromY = h - 1 - y
			case 5:
				fromX, fromY = y, x
			case 6:
				fromX, fromY = y, h-1-x
			case 7:
				fromX, fromY = w-1-y, h-1-x
			case 8:
				fromX, fromY = w-1-y, x
			}
			to, from := (y*q.width+x)*p.channels, (fromY*w+fromX)*p.channels
			copy(q.pixels[to:to+p.channels], p.pixels[from:])
		}
	}
	return q
}

// exifOrientation finds the orientation (1 to 8) in a JPEG file's EXIF segment; 1, upright, if there is none.
func exifOrientation(data []byte) int {
	for i := 2; i+4 <= len(data) && data[i] == 0xff; {
		marker, length := data[i+1], int(binary.BigEndian.Uint16(data[i+2:]))
		if marker == 0xff { // a fill byte
			i++
			continue
		}
		if marker == 0xda || length < 2 || i+2+length > len(data) { // the picture itself begins
			return 1
		}
		segment := string(data[i+4 : i+2+length])
		if tiff, ok := strings.CutPrefix(segment, "Exif\x00\x00"); ok && marker == 0xe1 {
			return tiffOrientation([]byte(tiff))
		}
		i += 2 + length
	}
	return 1
}

// tiffOrientation reads tag 0x0112 of the first directory of a TIFF structure.
func tiffOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if tiff[0] == 'I' {
		order = binary.LittleEndian
	}
	directory := uint64(order.Uint32(tiff[4:]))
	if directory+2 > uint64(len(tiff)) {
		return 1
	}
	entries := tiff[directory+2:]
	for range order.Uint16(tiff[directory:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == 0x0112 {
			return int(order.Uint16(entries[8:]))
		}
		entries = entries[12:]
	}
	return 1
}
