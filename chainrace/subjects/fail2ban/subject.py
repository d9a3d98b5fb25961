"""fail2ban as a subject: one jail with one banned address, which it bans again at each start.

fail2ban-server makes the jail's chain and jump, and a rule for each address that its database has
banned, once, at its start, by shell commands (config/action.d/iptables.conf). It looks whether its
jump is there before the next ban, and sets all of it again where it is not (server/action.py,
_invariantCheck); no rule of a ban that is missing behind a jump that is there does it look for.
Read in the source of 1.0.2.
"""

from chainrace.model.neighbour import NEIGHBOUR, NODE, SPACE
from chainrace.model.subject import Subject

DONE = "/run/chainrace/banned"
CONFIG = "/etc/fail2ban"

# The jail's own log has no line: who is banned is the neighbour, in the database. A command of
# fail2ban's that is held must not be ended by its own limit (60 s). The second action says when
# the first one has been run, whatever came of it.
PREPARE = f"""set -e
mkdir -p /run/chainrace
: >/var/log/chainrace-sshd.log
cat >{CONFIG}/action.d/chainrace.conf <<'END'
[Definition]
actionstart = rm -f {DONE}
actionstop = rm -f {DONE}
actionban = touch {DONE}
END
cat >{CONFIG}/jail.d/chainrace.local <<'END'
[sshd]
enabled = true
backend = polling
logpath = /var/log/chainrace-sshd.log
bantime = -1
action = iptables-multiport[name=sshd, port=ssh, protocol=tcp, timeout=1d]
         chainrace[timeout=1d]
END
systemctl start fail2ban.service
until fail2ban-client ping >/dev/null 2>&1; do sleep 1; done
fail2ban-client set sshd banip {NEIGHBOUR}
until [ -e {DONE} ]; do sleep 1; done
systemctl stop fail2ban.service
"""

# sshd says its version to everybody whom it answers.
CHECK = f"! ip netns exec {SPACE} busybox nc -w 10 {NODE} 22 </dev/null | grep -q SSH"

SUBJECT = Subject(
    "fail2ban",
    "fail2ban.service",
    done=f"test -e {DONE}",
    check=CHECK,
    packages=("busybox-static", "fail2ban"),
    programs=("fail2ban-server",),
    prepare=PREPARE,
    repairs="at its next ban, where its jump is missing then (server/action.py)",
    watch=60.0,
)
