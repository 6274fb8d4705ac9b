package op

// quantizeTable is the operators that change how numbers are represented.
var quantizeTable = []func() Operator{}
