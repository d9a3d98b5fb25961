"""A fuzzer against the proof itself, for the light node and for the VM."""
