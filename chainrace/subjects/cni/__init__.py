"""CNI: one pod with a hostPort, by the plugins bridge and portmap."""
