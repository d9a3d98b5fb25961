"""What programs other than iptables touch: more than they are known to is everything."""

import pytest

from chainrace.model.trial import Call
from chainrace.search.step import EVERYTHING, PARTS, Footprint, footprint, understood
from tests.unit.test_step import ALL, OF_NFT, call, made

READS_NFT = Footprint(reads=OF_NFT)
TRIES_NFT = Footprint(reads=OF_NFT | {"files"})
ANY_NFT = Footprint(OF_NFT | {"files"}, OF_NFT)
OWN = Footprint(frozenset({"nft"}), frozenset({"nft"}))


def parts(table: str) -> Footprint:
    return Footprint(writes=frozenset(f"{table}/{part}" for part in PARTS))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nft list ruleset", READS_NFT),
        ("nft -a -nn list table ip filter", READS_NFT),
        ("nft list ruleset -a", READS_NFT),
        ("nft --version", Footprint()),
        ("nft -h", Footprint()),
        ("nft -c -f x", TRIES_NFT),
        ("nft --check add rule ip filter INPUT drop", TRIES_NFT),
        ("nft -cf x", TRIES_NFT),
        ("nft -f x -c", TRIES_NFT),
        ("nft add rule inet mine input drop", OWN),
        ("nft delete table bridge mine", OWN),
        ("nft destroy table netdev mine", OWN),
        ("nft flush chain arp mine x", OWN),
        ("nft add table inet filter", OWN),
        ("nft add table mine", OWN),
        ("nft add chain inet mine x { type filter hook input priority 0; policy drop; }", OWN),
        ("nft add rule ip filter INPUT drop", parts("ipv4/filter")),
        ("nft flush table nat", parts("ipv4/nat")),
        ("nft flush table ip6 mangle", parts("ipv6/mangle")),
        ("nft -f -", ANY_NFT),
        ("nft -i", ANY_NFT),
        ("nft", ANY_NFT),
        ("nft --new-fangled list ruleset", ANY_NFT),
        ("nft flush ruleset", ANY_NFT),
        ("nft add inet mine input drop", ANY_NFT),
        ("nft list ruleset -f x", ANY_NFT),
        ("nft list ruleset; flush ruleset", ANY_NFT),
        ("nft add rule inet mine input drop -f x", ANY_NFT),
        ("nft -c list ruleset -f x", ANY_NFT),
        ("nft delete table ip handle 5", ANY_NFT),
        ("nft delete table handle 5", ANY_NFT),
        ("nft delete table ip", ANY_NFT),
        ("nft add table inet a; flush ruleset", ANY_NFT),
        ("nft add chain inet a x { type filter hook input priority 0; } ; flush ruleset", ANY_NFT),
        (
            'nft add chain inet a x { comment "{" ; } ; flush ruleset ; add x { comment "}" ; }',
            ANY_NFT,
        ),
        ("nft add table inet $NAME", ANY_NFT),
        ("nft add chain inet mine x { type filter", ANY_NFT),
        ("nft -D NAME=x add table inet mine", ANY_NFT),
        ("nft monitor", ANY_NFT),
    ],
)
def test_nft(line: str, expected: Footprint) -> None:
    assert made(line) == expected


def test_nft_may_be_given_many_commands_in_one_word() -> None:
    words = ("add table inet mine\nflush ruleset", "add table inet mine #\nflush ruleset")
    for word in words:
        assert footprint(Call("script", "nft", (word,))) == ANY_NFT
    assert footprint(Call("script", "nft", ("add table inet mine",))) == OWN
    assert footprint(Call("script", "nft", ("list ruleset", ";", "flush ruleset"))) == ANY_NFT


UNITS = Footprint(frozenset({"units"}), frozenset({"units"}))
LOOKS = Footprint(frozenset({"units", "life/k", "life/x"}))
FILES = Footprint(frozenset({"files"}), frozenset({"files"}))
SYSCTL = Footprint(frozenset({"sysctl"}), frozenset({"sysctl"}))


LOOKING = """
systemctl is-active kubelet
systemctl show -p ActiveState kubelet
systemctl list-units --all -t service
systemctl status -n0 --no-pager x
journalctl -u kubelet -n 5
journalctl --unit=kubelet --no-pager
"""
CHANGING = """
systemctl restart iptables
systemctl --no-block -q stop iptables.service x.timer
systemctl enable --now iptables
systemctl daemon-reload
systemctl mask iptables
systemctl reset-failed iptables
systemd-run --on-active=5 iptables -F
"""
SETTING = """
sysctl -w net.ipv4.ip_forward=1
sysctl -qw net.ipv4.tcp_syncookies=1
sysctl -n net/core/somaxconn
ip link
ip -4 route
"""
PURE = """
sleep 1
cat /etc/iptables/rules
tee /etc/iptables/rules
cp a /etc/sysconfig/iptables
grep x /etc/passwd
awk {print} /etc/passwd
sed s/a/b/ /etc/hosts
dd if=/dev/zero of=x
date +%s
hostname -I
ls /tmp
rm -f /tmp/x /dev/null
mkdir -p /etc/systemd/scripts/x
find /tmp -name x
cut -d / -f 1
cat /processes /system
"""
LOCKING = """
flock -w 5 /run/xtables.lock x
flock 9
"""
LISTING_SETS = """
ipset list
ipset -q save
ipset test S 1.2.3.4
"""
CHANGING_SETS = """
ipset -exist add S 1.2.3.4
ipset flush
"""
USING_SETS = """
ipset destroy
ipset swap A B
ipset restore
ipset
"""
SETTING_OF_A_MODULE = """
sysctl net.netfilter.nf_conntrack_max
sysctl net.ipv4.netfilter.x net.ipv4.ip_forward
sysctl -w net.bridge.bridge-nf-call-iptables=1
"""
NOT_KNOWN = """
perl x
python3 x
modprobe x
kubelet
kill 1
iptables -F --new
iptables-apply x
xtables-monitor
ipset -f x list
goes on
"""
CHANGING_KUBELETS = """
systemctl stop kubelet
systemctl restart iptables kubelet.service
systemctl stop kube*
systemctl isolate x
systemctl start multi-user.target
systemctl stop system.slice
systemctl restart containerd
systemctl restart systemd-networkd
systemctl reset-failed
systemctl restart
systemctl restart --all x
systemctl kill x
systemctl --user stop x
systemctl -H host stop x
systemctl --job-mode=isolate start x
systemctl reboot
systemctl -p show stop x
systemctl daemon-reload x
systemctl --new-fangled stop x
"""
STARTING_KUBELETS = """
systemd-run systemctl stop kubelet
systemd-run -p Conflicts=x.service true
journalctl --rotate
journalctl --vacuum-size=1
sysctl
sysctl -a
sysctl -p
sysctl -wp net.ipv4.ip_forward
sysctl kernel.panic=1
sysctl net/../kernel/panic=1
sysctl net.ipv4..x
sysctl net.ipv4.ip_forward kernel.panic
sysctl net.*
"""
SEEING_KUBELET = """
cat /proc/net/x
cat /sys/x
ls /sys
grep x /var/log/y
ls /var/lib/kubelet
ls /run/systemd
test -e /var/run/x
echo kubelet
ls /
rm -rf /var/lib
find / -name x
cat /dev/tcp/a/1
cat /tmp/../proc/x
rm /run/xtables.lock
find /sys/fs/cgroup
"""
CHANGING_PROGRAMS = """
rm /usr/sbin/iptables
cp x /etc/hosts
mv x //etc/hosts
mv x /tmp/../etc/hosts
ln -sf x /usr/sbin/y
touch ../x
chmod 0 /bin/x
tee /lib64/x
install x /opt/x
dd of=/dev/sda
mkdir /boot/x
sed -i s/a/b/ /etc/hosts
sed -ni p /etc/hosts
sed --in-place s/a/b/ /etc/hosts
sed w/etc/hosts x
sort -o /etc/x y
awk {print>/etc/hosts} x
find /etc -delete
cp --target-directory=/etc x
chown x /etc/iptables/../hosts
date -s 10:00
date 01020304
hostname mine
"""


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        (LOOKS, LOOKING),
        (UNITS, CHANGING),
        (SYSCTL, SETTING),
        (FILES, PURE),
        (Footprint(*2 * (frozenset({"lock", "files"}),)), LOCKING),
        (Footprint(ALL | {"sets"}), LISTING_SETS),
        (Footprint(*2 * (frozenset({"sets"}),)), CHANGING_SETS),
        (Footprint(ALL | {"sets", "files"}, frozenset({"sets"})), USING_SETS),
        (Footprint(ALL | {"sysctl"}, frozenset({"sysctl"})), SETTING_OF_A_MODULE),
        (EVERYTHING, NOT_KNOWN),
        (EVERYTHING, CHANGING_KUBELETS),
        (EVERYTHING, STARTING_KUBELETS),
        (EVERYTHING, SEEING_KUBELET),
        (EVERYTHING, CHANGING_PROGRAMS),
    ],
)
def test_other_programs(expected: Footprint, lines: str) -> None:
    for line in lines.strip().splitlines():
        assert made(line) == expected, line
        assert understood(call(line)) is (expected != EVERYTHING)


@pytest.mark.parametrize(
    ("line", "exe", "known"),
    [
        ("cat x", "cat", True),
        ("cat x", "busybox", True),
        ("awk x", "mawk", True),
        ("cat x", "python3.11", False),
        ("nft list ruleset", "nft", True),
        ("nft list ruleset", "x", False),
        ("iptables -S", "xtables-nft-multi", True),
        ("iptables -S", "x", False),
        ("systemctl show x", "x", False),
    ],
)
def test_a_name_that_another_file_goes_by_is_not_understood(
    line: str,
    exe: str,
    known: bool,  # noqa: FBT001
) -> None:
    assert understood(call(line, exe=exe)) is known
