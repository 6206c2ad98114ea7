module chorusenvelope

go 1.22
