module github.com/octet-nn/octet/internal/kernel/_amx

go 1.26
