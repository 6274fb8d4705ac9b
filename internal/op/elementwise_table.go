package op

// elementwiseTable is the unary, binary and comparing operators, activations, softmax and reductions.
var elementwiseTable = []func() Operator{}
