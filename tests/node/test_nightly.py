"""The systemd timer of examples/nightly, on a real systemd."""

import io
import tarfile
import time

from testinfra.host import Host

from chainrace.base.paths import REPOSITORY
from chainrace.node.node import Node
from tests.node.fixtures import LIMIT

PARTS = ("lab", "requirements.lock", "examples/nightly", "chainrace")
UNITS = "/etc/systemd/system"
# The timer's own moment is at night; the unit is the one that stands in the example.
SOON = "[Timer]\nOnCalendar=\nOnActiveSec=1s\nAccuracySec=100ms\n"


def test_the_timer_starts_the_nights_run_and_its_exit_code_reaches_systemd(
    host: Host, lab_node: Node
) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for part in PARTS:
            archive.add(REPOSITORY / part, arcname=part)
    lab_node.connection.put(data.getvalue(), "/run/chainrace-clone.tgz")
    host.check_output(
        "mkdir -p /opt/chainrace && tar -xzf /run/chainrace-clone.tgz -C /opt/chainrace"
    )
    host.check_output(f"cp /opt/chainrace/examples/nightly/chainrace-nightly.* {UNITS}")
    host.check_output(f"systemd-analyze verify {UNITS}/chainrace-nightly.timer")
    folder = f"{UNITS}/chainrace-nightly.timer.d"
    host.check_output(f"mkdir -p {folder} && printf '%s' '{SOON}' >{folder}/soon.conf")
    host.check_output("systemctl daemon-reload && systemctl start chainrace-nightly.timer")
    try:
        deadline = time.monotonic() + LIMIT
        asks = "systemctl show -P ActiveState chainrace-nightly.service"
        while (state := host.check_output(asks)) != "failed" and time.monotonic() < deadline:
            time.sleep(1)
        # A node has no way to Debian's packages: the lab says so, and ends with 4.
        assert state == "failed"
        code = host.check_output("systemctl show -P ExecMainStatus chainrace-nightly.service")
        log = host.check_output("journalctl --no-pager -o cat -u chainrace-nightly.service")
        assert code == "4", log
        assert "to do:" in log
    finally:
        host.check_output("systemctl stop chainrace-nightly.timer chainrace-nightly.service")
        host.check_output(f"rm -rf {folder} {UNITS}/chainrace-nightly.* /opt/chainrace")
        host.check_output("systemctl daemon-reload; systemctl reset-failed")
