package numeric

// Codes says what the codes of a value stand for, real = (code − ZeroPoint)·Scale, and between which limits its codes
// lie.
type Codes struct {
	Scale                      float32
	ZeroPoint, Lowest, Highest int32
}

// limit is a code within the limits.
func (y *Codes) limit(q int64) int32 { return int32(min(max(q, int64(y.Lowest)), int64(y.Highest))) }

// signed reports whether codes may be negative.
func (y *Codes) signed() bool { return y.Lowest < 0 }

// wide reports whether codes have more than 8 bits.
func (y *Codes) wide() bool { return y.Highest-y.Lowest > 255 }

// Layer is a kind of layer: rows of the table may round the sums of some kinds differently.
type Layer uint8

// The kinds of layers.
const (
	Convolution Layer = iota
	TransposedConvolution
	DepthwiseConvolution        // one input channel for each output channel
	DilatedDepthwiseConvolution // the same with a dilation other than 1
	MatrixProduct               // Gemm, MatMul

	layerCount
)

// row is one row of the table of arithmetics: the form of every step at which it rounds.
type row struct {
	name     string
	layers   [layerCount]rescaling
	sum      sumForm
	product  rescaling // of Mul
	average  averageForm
	mean     averageForm // of ReduceMean and ReduceSum
	softmax  softmaxForm
	change   changeForm // of codes to other codes
	quantize quantizeForm
	resize   resizeForm
	// recurrent is of LSTM.
	recurrent recurrentForm
	dynamic   dynamicForm // of activations that are quantized as they come
	// functions has the functions of one code that are not a table of the rounded real function, by operator type.
	functions map[string]functionForm
}

// rows is the closed table.
var rows = [arithmeticCount]row{
	None: {name: "none"},
	ONNX: {name: "onnx"}, // every form's zero value
	MACE: {
		name: "mace",
		layers: [layerCount]rescaling{
			Convolution:                 {fixedHalfAway, product32},
			TransposedConvolution:       {fixedHalfAway, product32},
			DepthwiseConvolution:        {fixedHalfAway, product32},
			DilatedDepthwiseConvolution: {floatHalfAway, product32},
			MatrixProduct:               {floatHalfAwayShifted, product32},
		},
		sum:       sumOfReals,
		average:   averageOfCodes,
		mean:      averageOfCodes,
		product:   rescaling{floatHalfAway, product32},
		softmax:   softmaxTruncated,
		change:    changeShifted,
		quantize:  quantizeByReciprocal,
		resize:    resizeCodes,
		functions: map[string]functionForm{"Sigmoid": truncatedFunction},
	},
	TFLite: {
		name: "tflite",
		layers: [layerCount]rescaling{
			Convolution:                 {fixedHalfUp, product64Signed},
			TransposedConvolution:       {fixedHalfAway, product64Signed},
			DepthwiseConvolution:        {fixedHalfAway, product64Signed},
			DilatedDepthwiseConvolution: {fixedHalfAway, product64Signed},
			MatrixProduct:               {fixedHalfUp, quotient64},
		},
		sum:       sumFixed,
		average:   averageOfCodes,
		mean:      meanOfTFLite,
		product:   rescaling{fixedHalfAway, product32},
		softmax:   softmaxTable,
		change:    changeFixed,
		quantize:  quantizeHalfAway,
		resize:    resizeFixed,
		recurrent: recurrentFixed,
		dynamic:   dynamicBatch,
		functions: tfliteFunctions,
	},
	Gemmlowp: {
		name: "gemmlowp",
		layers: [layerCount]rescaling{
			Convolution:                 {fixedHalfAway, product64},
			TransposedConvolution:       {fixedHalfAway, product64},
			DepthwiseConvolution:        {fixedHalfAway, product64},
			DilatedDepthwiseConvolution: {fixedHalfAway, product64},
			MatrixProduct:               {fixedHalfAway, quotient64},
		},
		sum:       sumFixed,
		average:   averageOfCodes,
		mean:      meanOfTFLite,
		product:   rescaling{fixedHalfAway, product32},
		softmax:   softmaxFixed,
		change:    changeFixed,
		quantize:  quantizeHalfAway,
		resize:    resizeFixed,
		recurrent: recurrentTable,
		dynamic:   dynamicBatch,
		functions: tfliteFunctions,
	},
	TFLite16x8: {
		name: "tflite16x8",
		layers: [layerCount]rescaling{
			Convolution:                 {fixedNarrow, product64},
			TransposedConvolution:       {fixedNarrow, product64},
			DepthwiseConvolution:        {fixedNarrow, product64},
			DilatedDepthwiseConvolution: {fixedNarrow, product64},
			MatrixProduct:               {fixedNarrow, quotient64},
		},
		sum:       sumFixed,
		average:   averageOfCodes,
		mean:      meanOfTFLite,
		product:   rescaling{fixedHalfAway, product32},
		softmax:   softmaxFixed,
		change:    changeFixed,
		quantize:  quantizeHalfAway64,
		resize:    resizeFixed,
		dynamic:   dynamicBatch,
		functions: wideFunctions,
	},
}

// of is the row of an arithmetic. Nodes that name none (float nodes that round to codes) follow the ONNX row.
func (a Arithmetic) of() *row {
	if a == None || a >= arithmeticCount {
		return &rows[ONNX]
	}
	return &rows[a]
}

// Arithmetics lists the rows of the table.
func Arithmetics() []Arithmetic {
	var list []Arithmetic
	for a := ONNX; a < arithmeticCount; a++ {
		list = append(list, a)
	}
	return list
}
