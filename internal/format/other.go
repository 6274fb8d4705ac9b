package format

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"strings"
)

// known are the formats that are read, for messages.
const known = "octet reads ONNX, TensorFlow Lite, frozen TensorFlow graphs (.pb) and Caffe (.prototxt with .caffemodel)"

// Other says what a file is that no reader takes, and how people get a model of it that one does; nil if it does not look
// like anything known.
func Other(data []byte, name string) error {
	what := func(why, next string) error { return &Error{File: name, Offset: -1, Why: why, Next: next} }
	head := data[:min(len(data), 1<<16)]
	starts := func(prefix string) bool { return bytes.HasPrefix(head, []byte(prefix)) }
	at4 := func(identifier string) bool { return len(head) >= 8 && string(head[4:8]) == identifier }
	const (
		torch = "export the model to ONNX (torch.onnx.export)"
		keras = "convert it to .tflite (tf.lite.TFLiteConverter) or ONNX (tf2onnx)"
	)
	switch {
	case starts("PK\x03\x04") && bytes.Contains(head, []byte("data.pkl")), starts("\x80\x02"), starts("\x80\x03"), starts("\x80\x04"):
		return what("it is a PyTorch or Python pickle file", torch)
	case starts("PK\x03\x04") && bytes.Contains(head, []byte("config.json")):
		return what("it is a Keras file", keras)
	case starts("PK\x03\x04"):
		return what("it is a zip archive", "unpack it: "+known)
	case starts("\x1f\x8b"):
		return what("it is compressed with gzip", "unpack it: "+known)
	case starts("\x89HDF\r\n"):
		return what("it is an HDF5 file, as Keras writes them", keras)
	case starts("GGUF"), starts("ggml"):
		return what("it is a GGUF file of llama.cpp", known)
	case at4("ORTM"):
		return what("it is in the internal format of ONNX Runtime", "use the .onnx file that it was made of")
	case at4("ET12"), at4("PTMF"):
		return what("it is a PyTorch mobile file", torch)
	case len(head) > 9 && head[8] == '{' && binary.LittleEndian.Uint64(head) < 1<<30:
		return what("it is a safetensors file: weights without a network", torch)
	case isSavedModel(data):
		return what("it is a TensorFlow SavedModel, whose variables are in other files", keras+", or freeze it to a .pb")
	case isTensor(data):
		return what("it is a tensor, not a model", "give it to octet run as --input NAME=FILE where it is .npy or raw numbers")
	case isText(head):
		return what("it is a text, and no .prototxt of Caffe", known)
	}
	return nil
}

// Unknown is the error for a file that is nothing known.
func Unknown(name string) error {
	return &Error{File: name, Offset: -1, Why: "its content looks like no model file", Next: known}
}

// Wire types of protobuf.
const (
	varint = 0
	length = 2
)

// isSavedModel: a version, then one MetaGraphDef, which begins with a message of its own.
func isSavedModel(data []byte) bool {
	if len(data) < 3 || data[0] != 1<<3|varint || data[1] != 1 || data[2] != 2<<3|length {
		return false
	}
	size, n := binary.Uvarint(data[3:])
	meta := data[3+max(n, 0):]
	return n > 0 && size > 0 && size <= uint64(len(meta)) && meta[0] == 1<<3|length
}

// isTensor reports an ONNX TensorProto: sizes, then the number of an element type.
func isTensor(data []byte) bool {
	for sizes := 0; sizes < 16 && len(data) > 1; sizes++ {
		_, n := binary.Uvarint(data[1:])
		switch {
		case n <= 0:
			return false
		case data[0] == 2<<3|varint:
			return sizes > 0
		case data[0] != 1<<3|varint:
			return false
		}
		data = data[1+n:]
	}
	return false
}

// isText reports whether a file begins as a text does.
func isText(head []byte) bool {
	for _, c := range head {
		if c < ' ' && (c < '\t' || c > '\r') {
			return false
		}
	}
	return len(head) > 0
}

// Folder says what a folder is that was given as a model: the end of a sentence.
func Folder(folder fs.FS) string {
	if _, err := fs.Stat(folder, "saved_model.pb"); err == nil {
		return ", but a TensorFlow SavedModel: convert it to .tflite (tf.lite.TFLiteConverter) or ONNX (tf2onnx)"
	}
	var inside []string
	for _, ending := range []string{"onnx", "tflite", "pb", "prototxt"} {
		found, err := fs.Glob(folder, "*."+ending)
		if err == nil {
			inside = append(inside, found...)
		}
	}
	if len(inside) == 0 {
		return ""
	}
	const most = 3
	if len(inside) > most {
		inside = append(inside[:most], "…")
	}
	return "; in it are " + strings.Join(inside, ", ")
}
