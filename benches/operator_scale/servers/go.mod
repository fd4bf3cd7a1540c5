module arrayjob.dev/benches/servers

go 1.24
