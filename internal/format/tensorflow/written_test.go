package tensorflow

// Networks that several tests read.

// conditional is x twice, or what an operator that is not known makes of it if the tensor c is true.
func conditional(condition string) string {
	return placeholderDef("x", 2) + condition + constDef("two", 1, []float64{2}) +
		def("pred", "Identity", []string{"c"}) + def("turn", "Switch", []string{"x", "pred"}) + def("pivot", "Switch", []string{"c", "c"}) +
		def("yes", "Identity", []string{"pivot:1"}) + def("no", "Identity", []string{"pivot"}) +
		def("then", "Frobnicate", []string{"turn:1", "^yes"}) + def("else", "Mul", []string{"turn", "two", "^no"}) +
		def("y", "Merge", []string{"else", "then"})
}

// spreadConvolution is a dilated convolution of a batch, −1 if it is open, as TensorFlow 1 writes it.
func spreadConvolution(batch int, w []float64) string {
	return placeholderDef("x", batch, 9, 7, 2) + constDef("w", 1, w, 3, 3, 2, 3) + constDef("block", 3, []float64{2, 3}, 2) +
		constDef("pads", 3, []float64{2, 3, 3, 5}, 2, 2) + constDef("crops", 3, []float64{0, 1, 0, 2}, 2, 2) +
		def("spread", "SpaceToBatchND", []string{"x", "block", "pads"}) +
		def("conv", "Conv2D", []string{"spread", "w"}, attrInts("strides", 1, 1, 1, 1), attrText("padding", "VALID")) +
		def("y", "BatchToSpaceND", []string{"conv", "block", "crops"})
}

// dynamicRNN is basicLSTM in the loop of a dynamic_rnn, of which all results are read.
func dynamicRNN(shared string) string {
	frame := attrText("frame_name", "rnn")
	enter := func(name, of string) string { return def(name+"/enter", "Enter", []string{of}, frame) }
	constant := func(name, of string) string { return def(name, "Enter", []string{of}, frame, attrFlag("is_constant")) }
	state := func(name, next string) string {
		return def(name+"/merge", "Merge", []string{name + "/enter", name + "/next"}) + def(name+"/switch", "Switch", []string{name + "/merge", "cond"}) +
			def(name, "Identity", []string{name + "/switch:1"}) + def(name+"/next", "NextIteration", []string{next}) + def(name+"/exit", "Exit", []string{name + "/switch"})
	}
	return placeholderDef("x", steps, 1, inputs) + shared + constDef("length", 3, []float64{steps}) + constDef("indices", 3, []float64{0, 1, 2}, 3) +
		def("in", "TensorArrayV3", []string{"length"}, attrType("dtype", 1)) + def("filled", "TensorArrayScatterV3", []string{"in", "indices", "x", "in:1"}) +
		def("out", "TensorArrayV3", []string{"length"}, attrType("dtype", 1)) +
		enter("time", "zero") + enter("flow", "out:1") + enter("c", "start") + enter("h", "start") +
		constant("limit", "length") + constant("array", "in") + constant("data", "filled") + constant("results", "out") +
		def("less", "Less", []string{"time/merge", "limit"}) + def("cond", "LoopCond", []string{"less"}) +
		state("time", "later") + state("flow", "write") + state("c", "cell/c") + state("h", "cell/h") +
		def("later", "Add", []string{"time", "one"}) + def("now", "TensorArrayReadV3", []string{"array", "time", "data"}) +
		basicLSTM("cell", "now", "c", "h") + def("write", "TensorArrayWriteV3", []string{"results", "time", "cell/h", "flow"}) +
		def("size", "TensorArraySizeV3", []string{"out", "flow/exit"}) + def("range", "Range", []string{"zero", "size", "one"}) +
		def("y", "TensorArrayGatherV3", []string{"out", "range", "flow/exit"})
}

// cellConstants are what basicLSTM reads, and more.
func cellConstants(kernel, bias []float64) string {
	return constDef("one", 3, []float64{1}) + constDef("kernel", 1, kernel, inputs+hidden, 4*hidden) + constDef("bias", 1, bias, 4*hidden) +
		constDef("forget", 1, []float64{1}) + constDef("start", 1, make([]float64, hidden), 1, hidden) + constDef("zero", 3, []float64{0})
}

// quantizedNodes is a network that went through quantize_nodes.
func quantizedNodes(codes []float64) string {
	return placeholderDef("x", 1, 5, 5, 2) + constDef("codes", 12, codes, 3, 3, 2, 2) + constDef("low", 1, []float64{-1}) + constDef("high", 1, []float64{4.1}) +
		constDef("flat", 3, []float64{-1}, 1) + constDef("axis", 3, []float64{0}, 1) + def("line", "Reshape", []string{"x", "flat"}) +
		def("least", "Min", []string{"line", "axis"}) + def("most", "Max", []string{"line", "axis"}) +
		def("xq", "QuantizeV2", []string{"x", "least", "most"}, attrText("mode", "MIN_FIRST")) +
		def("conv", "QuantizedConv2D", []string{"xq", "codes", "xq:1", "xq:2", "low", "high"}, attrInts("strides", 1, 1, 1, 1), attrText("padding", "SAME")) +
		def("range", "RequantizationRange", []string{"conv", "conv:1", "conv:2"}) +
		def("q", "Requantize", []string{"conv", "conv:1", "conv:2", "range", "range:1"}) +
		def("pool", "QuantizedMaxPool", []string{"q", "q:1", "q:2"}, attrInts("ksize", 1, 2, 2, 1), attrInts("strides", 1, 2, 2, 1), attrText("padding", "SAME")) +
		def("shrunk", "QuantizeDownAndShrinkRange", []string{"pool", "pool:1", "pool:2"}) +
		def("relu", "QuantizedRelu6", []string{"shrunk", "shrunk:1", "shrunk:2"}) +
		def("y", "Dequantize", []string{"relu", "relu:1", "relu:2"}, attrText("mode", "MIN_FIRST"))
}
