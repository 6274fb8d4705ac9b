module github.com/octet-nn/octet/internal/kernel/_gen

go 1.26
