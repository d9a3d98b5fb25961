"""report.html: one page without any network, drawn from what a results folder holds."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from chainrace.base.text import clean
from chainrace.judge.outcome import MODES
from chainrace.model.actors import KUBELET
from chainrace.report import failures, graphviz, picture, verdict, words
from chainrace.report.maps import Grid, drawable, first_shown, grids, occurring
from chainrace.report.strip import strip
from chainrace.report.trials import TRIALS_FILE, read_trials

NAME = "report.html"


def draw(folder: Path) -> str:
    """A folder's page, as HTML. Raises UsageError for a folder without a verdict."""
    document = verdict.read(folder)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("chainrace.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_cleaned,
    )
    records = read_trials(folder) if (folder / TRIALS_FILE).exists() else []
    drawn, made_by = grids_of(document), document.get("made_by")
    graphs, graphs_left_out = graphviz.told(folder, document)
    return environment.get_template("report.html").render(
        document=document,
        folder=folder.resolve().name,
        tested=tested(document),
        subject=verdict.subject_of(document),
        covered=words.covered(document),
        glossary=words.GLOSSARY,
        lines=document.get("lines", {}),
        node={name: value for name, value in document["node"].items() if isinstance(value, str)},
        explored=verdict.explored_in(document),
        graphs=graphs,
        graphs_left_out=graphs_left_out,
        made_by=made_by,
        call=shlex.join(made_by["command"]) if made_by else "",
        grids=drawn,
        first_shown=first_shown(drawn, partial(verdict.reproduces, document)),
        axes=(picture.DOWN, picture.ACROSS),
        left_out=_left_out(document, drawn),
        replay_of=partial(verdict.replay_of, document, folder),
        all_modes=MODES,
        legend=occurring(drawn),
        arms=verdict.arms(document),
        strip=strip(records) if records else None,
        known_bad_lines=document.get("known_bad_lines", []),
        failures=failures.read(folder, document, records),
    )


def _cleaned(value: Any) -> Any:
    """A text without what could hide in a page; what a macro has made of texts is clean already."""
    made = hasattr(value, "__html__")
    return clean(value) if isinstance(value, str) and not made else value


def tested(document: verdict.Document) -> list[str]:
    """What was tested: the scripts, kubelet, the backend, the image, as far as that is known."""
    made_by = document.get("made_by") or {}
    node = document["node"]
    raced = [arm.label for arm in reversed(verdict.arms(document))]
    scripts = dict.fromkeys([*verdict.explored_in(document), *raced])
    kubelet = node.get("kubelet") or made_by.get("kubelet")
    backend = node.get("backend") or made_by.get("backend")
    subject = verdict.subject_of(document)
    found = [
        " and ".join(scripts),
        "" if subject == KUBELET else subject,
        f"kubelet {str(kubelet).removeprefix('Kubernetes ')}" if kubelet else "",
        f"{backend} backend" if backend else "",
        _image(node.get("image")),
    ]
    return [one for one in found if one]


def _image(identity: object) -> str:
    """What an image is called (host/image.py and host/own_image.py)."""
    if not isinstance(identity, Mapping):
        return ""
    if file := identity.get("file"):
        return f"image {file}"
    return "the lab's own image" if "recipe" in identity else ""


def grids_of(document: verdict.Document) -> list[Grid]:
    """All maps of a verdict that a page has room for."""
    return drawable(grid for script, graph in _graphs_of(document) for grid in grids(script, graph))


def _graphs_of(document: verdict.Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for script, explored in verdict.explored_in(document).items():
        for graph in explored["graphs"]:
            yield script, graph


def _left_out(document: verdict.Document, drawn: Iterable[Grid]) -> list[str]:
    """Which maps are not on the page, or not whole."""
    counts = Counter((grid.script, grid.family) for grid in drawn)
    return [
        f"{script}, {graph['family']}"
        for script, graph in _graphs_of(document)
        # None: the results have no room for it either. Without the key it is of an old version.
        if graph.get("map", ()) is None
        or len(grids(script, graph)) > counts[(script, graph["family"])]
    ]
