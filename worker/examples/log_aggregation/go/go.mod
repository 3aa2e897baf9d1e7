module aggregate

go 1.22
