"""The outcome map as a picture, for a chat or a ticket."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from chainrace.base.text import line
from chainrace.judge.outcome import MODES
from chainrace.report.maps import Grid, occurring

NAME = "map.png"
CELL = 44
LEFT, TOP, BOTTOM = 90, 124, 60
# The titles of both axes; the page has the same.
DOWN = "the subject's steps when the script begins"
ACROSS = "the subject's steps when the script goes on"
LEAST_HEIGHT = 300  # the title's that stands upright
LEAST_WIDTH = 900  # the legend's
MOST_LETTERS = 200  # of a line: a script names its commands as it likes
BACK, TEXT, SOFT = "#ffffff", "#1b1f24", "#57606a"


def render(grids: Sequence[Grid], title: str) -> bytes | None:
    """The map in which most different things come out, as PNG; None where there is no map."""
    if not grids:
        return None
    data = io.BytesIO()
    draw(max(grids, key=lambda grid: grid.differing), title).save(data, "PNG")
    return data.getvalue()


def draw(grid: Grid, title: str) -> Image.Image:
    """One grid with its axes, its legend, and a title."""
    width = max(LEAST_WIDTH, LEFT + CELL * (len(grid.columns) + 1))
    height = max(LEAST_HEIGHT, CELL * len(grid.rows))
    image = Image.new("RGB", (width, TOP + height + BOTTOM), BACK)
    pen = ImageDraw.Draw(image)
    big, small = ImageFont.load_default(22), ImageFont.load_default(15)
    pen.text((16, 12), line(title)[:MOST_LETTERS], TEXT, big)
    about = f"{grid.script}, {grid.family}: stopped {grid.where}"
    pen.text((16, 44), line(about)[:MOST_LETTERS], SOFT, small)
    pen.text((LEFT, TOP - 44), ACROSS, SOFT, small)
    image.paste(_upright(DOWN, small), (16, TOP))
    for at, column in enumerate(grid.columns):
        pen.text((LEFT + CELL * (at + 0.5), TOP - 12), str(column), SOFT, small, anchor="mm")
    for down, row in enumerate(grid.rows):
        top = TOP + CELL * down
        pen.text((LEFT - 16, top + CELL / 2), str(row), SOFT, small, anchor="mm")
        for at, column in enumerate(grid.columns):
            square = grid.squares.get((row, column))
            if square is None:
                continue
            side = LEFT + CELL * at
            pen.rectangle((side, top, side + CELL - 2, top + CELL - 2), MODES[square.worst].light)
            middle = (side + CELL / 2 - 1, top + CELL / 2 - 1)
            pen.text(middle, square.letters, TEXT, small, anchor="mm")
    left, top = 16.0, TOP + height + 24
    for mode in occurring([grid]):
        pen.rectangle((left, top, left + 18, top + 18), mode.light)
        said = f"{mode.letter} {mode.name}"
        pen.text((left + 26, top + 1), said, TEXT, small)
        left += 40 + pen.textlength(said, small)
    return image


def _upright(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """A line of text that reads from below to above."""
    _, _, right, bottom = font.getbbox(text)
    image = Image.new("RGB", (int(right) + 1, int(bottom) + 1), BACK)
    ImageDraw.Draw(image).text((0, 0), text, SOFT, font)
    return image.rotate(90, expand=True)
