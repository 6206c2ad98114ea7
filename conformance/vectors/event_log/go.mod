module eventlog

go 1.22
