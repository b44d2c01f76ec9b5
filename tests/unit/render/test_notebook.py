"""The table of an image and the line of progress in a notebook."""

from __future__ import annotations

from typing import Any

from modelcrate.events import Advanced, Finished, Notice, Started, Step, ignore_event
from modelcrate.render.notebook import NotebookProgress, image_html, notebook_emit
from support.layered import made_image, made_layer


class Display:
    """Stands where IPython.display is, and keeps what it shows."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def HTML(self, text: str) -> str:
        return text

    def display(self, text: str, *, display_id: bool) -> Display:
        assert display_id, "without it nothing can be updated"
        self.shown.append(text)
        return self

    def update(self, text: str) -> None:
        self.shown.append(text)


def test_an_image_is_a_table_and_names_are_escaped() -> None:
    image = made_image(made_layer("model", "<script>", b"x" * 1500))
    html = image_html("a&b", image)
    assert "<b>a&amp;b</b>" in html
    assert str(image.digest) in html
    assert "<td>model</td><td>&lt;script&gt;</td><td>1.5 kB</td><td>base</td>".replace("base", "new") in html
    assert html.count("<tr>") == 2


def test_the_line_shows_the_step_the_work_and_the_notices() -> None:
    display: Any = Display()
    progress = NotebookProgress(display)
    for event in (Started("model <1>", 2000), Advanced("model <1>", 500), Advanced("unknown", 5), Started("other")):
        progress.emit(event)
    progress.emit(Step("pack"))
    assert display.shown[-1] == "pack model &lt;1&gt;: 500 B of 2.0 kB, other: 0 B"
    progress.emit(Finished("model <1>"))
    progress.emit(Notice("look & see"))
    assert display.shown[-1] == "pack other: 0 B<ul><li>look &amp; see</li></ul>"


def test_outside_a_notebook_nothing_is_shown() -> None:
    assert notebook_emit() is ignore_event
