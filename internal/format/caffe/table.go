package caffe

import "strings"

// row says how layers of one type are read.
type row struct {
	inputs, most int // how many bottoms they have; most 0: any number
	build        func(l *layer) error
	data         func(l *layer) [][]int // layers that bring data in: the sizes of their tops, nil if the file does not say
	training     bool                   // layers that only training has
}

// rows is every type of layer that is read.
var rows = map[string]row{
	"Convolution":          {1, 1, convolution, nil, false},
	"DepthwiseConvolution": {1, 1, convolution, nil, false},
	"ConvolutionDepthwise": {1, 1, convolution, nil, false},
	"Deconvolution":        {1, 1, deconvolution, nil, false},
	"InnerProduct":         {1, 1, innerProduct, nil, false},
	"Pooling":              {1, 1, pooling, nil, false},
	"BatchNorm":            {1, 1, batchNorm, nil, false},
	"Scale":                {1, 2, scale, nil, false},
	"Bias":                 {1, 2, bias, nil, false},
	"LRN":                  {1, 1, lrn, nil, false},
	"Normalize":            {1, 1, normalize, nil, false},
	"PReLU":                {1, 1, prelu, nil, false},
	"ReLU":                 {1, 1, relu, nil, false},
	"ReLU6":                {1, 1, relu6, nil, false},
	"ELU":                  {1, 1, elu, nil, false},
	"SELU":                 {1, 1, selu, nil, false},
	"Sigmoid":              {1, 1, function("Sigmoid"), nil, false},
	"TanH":                 {1, 1, function("Tanh"), nil, false},
	"AbsVal":               {1, 1, function("Abs"), nil, false},
	"BNLL":                 {1, 1, function("Softplus"), nil, false},
	"Exp":                  {1, 1, exponential, nil, false},
	"Log":                  {1, 1, logarithm, nil, false},
	"Power":                {1, 1, power, nil, false},
	"Softmax":              {1, 1, softmax, nil, false},
	"Eltwise":              {1, 0, eltwise, nil, false},
	"Concat":               {1, 0, concat, nil, false},
	"Slice":                {1, 1, slice, nil, false},
	"Split":                {1, 1, identity, nil, false},
	"Dropout":              {1, 1, identity, nil, false},
	"Crop":                 {2, 2, crop, nil, false},
	"Permute":              {1, 1, permute, nil, false},
	"Reshape":              {1, 1, reshape, nil, false},
	"Flatten":              {1, 1, flatten, nil, false},
	"ShuffleChannel":       {1, 1, shuffleChannel, nil, false},
	"PriorBox":             {2, 2, priorBox, nil, false},
	"Interp":               {1, 2, interp, nil, false},
	"Clip":                 {1, 1, clip, nil, false},
	"Swish":                {1, 1, swish, nil, false},
	"MVN":                  {1, 1, meanVariance, nil, false},
	"ArgMax":               {1, 1, argMax, nil, false},
	"Reduction":            {1, 1, reduction, nil, false},
	"Tile":                 {1, 1, tile, nil, false},
	"Axpy":                 {3, 3, axpy, nil, false},
	"Upsample":             {1, 1, upsample, nil, false},

	"Input":         {data: inputLayer},
	"Data":          {data: freeData},
	"ImageData":     {data: freeData},
	"HDF5Data":      {data: freeData},
	"WindowData":    {data: freeData},
	"AnnotatedData": {data: freeData},
	"MemoryData":    {data: memoryData},
	"DummyData":     {data: dummyData},

	"Accuracy":           {training: true},
	"SoftmaxWithLoss":    {training: true},
	"Silence":            {training: true},
	"HDF5Output":         {training: true},
	"DetectionEvaluate":  {training: true},
	"ImageSegAccuracy":   {training: true},
	"MultiLabelAccuracy": {training: true},
}

// row is how the layer is read. Of data layers and losses, forks of Caffe have many: they are known by their names.
func (l *layer) row() row {
	r, known := rows[l.kind]
	switch {
	case known:
		return r
	case strings.HasSuffix(l.kind, "Loss"):
		return row{training: true}
	case strings.HasSuffix(l.kind, "Data") && len(l.bottoms) == 0:
		return row{data: freeData}
	}
	return row{build: unknown}
}

// inputLayer is the shapes of an Input layer: one for each top, or one for all.
func inputLayer(l *layer) [][]int {
	p := l.param("input_param")
	var all [][]int
	for _, s := range p.messages("shape") {
		all = append(all, l.im.sizes(s.all("dim")))
	}
	return all
}

// freeData is a source of images of which the file tells at most to what size they are cut or scaled; 0 is what it does
// not tell.
func freeData(l *layer) [][]int {
	p := l.param("transform_param")
	p.allowed = true // much else that is done to images is not the network's
	side := p.int("crop_size", 0, 0)
	height, width := p.int("crop_h", side, 0), p.int("crop_w", side, 0)
	if resize := p.messages("resize_param"); height == 0 && width == 0 && len(resize) > 0 {
		scaled := &params{key: "resize_param", message: resize[0], asked: map[string]bool{}}
		height, width = scaled.int("height", 0, 0), scaled.int("width", 0, 0)
		p.problems = append(p.problems, scaled.problems...)
	}
	if height == 0 || width == 0 {
		return nil
	}
	return [][]int{{0, 0, height, width}}
}

// memoryData is the shape of samples in memory.
func memoryData(l *layer) [][]int {
	p := l.param("memory_data_param")
	return fourSizes(p, "batch_size")
}

// dummyData is the shapes of made-up data.
func dummyData(l *layer) [][]int {
	p := l.param("dummy_data_param")
	p.all("data_filler")
	var all [][]int
	for _, s := range p.messages("shape") {
		all = append(all, l.im.sizes(s.all("dim")))
	}
	if all != nil {
		return all
	}
	return fourSizes(p, "num")
}

// fourSizes are a batch, channels, height and width, if there are all four.
func fourSizes(p *params, batch string) [][]int {
	var sizes []int
	for _, name := range []string{batch, "channels", "height", "width"} {
		sizes = append(sizes, p.int(name, 0, 1))
	}
	for _, n := range sizes {
		if n == 0 {
			return nil
		}
	}
	return [][]int{sizes}
}
