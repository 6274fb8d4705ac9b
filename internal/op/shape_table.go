package op

// shapeTable is the operators that move values or compute shapes.
var shapeTable = []func() Operator{}
