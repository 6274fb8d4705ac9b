package op

import "slices"

// Table is every canonical operator, one row each: a function that makes it with default attributes. Each family keeps
// its own list beside its operators.
var Table = slices.Concat(spatialTable, elementwiseTable, quantizeTable, shapeTable, composedTable)
