"""Docker as a subject.

dockerd makes its chains and jumps once, at its start, by the iptables program, and again when
firewalld is reloaded (libnetwork/iptables/iptables.go and firewalld.go of Moby). It makes them
again in no other case: moby/moby#21327.
"""

from chainrace.model.subject import Subject

# They change rules through iptables alone.
PROGRAMS = ("dockerd", "docker-init", "docker-proxy", "runc")

SUBJECT = Subject("docker", "docker.service", packages=("docker.io",), programs=PROGRAMS)
