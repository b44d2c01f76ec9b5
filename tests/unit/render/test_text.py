"""Values as text: sizes, tables, and what a build and an image say of themselves."""

from __future__ import annotations

import pytest

from modelcrate.images.image import Image, combine
from modelcrate.pipeline.receipt import Receipt
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import format_table, image_text, layer_table, receipt_text
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Digest, Platform
from support.layered import made_image, made_layer

KEY = Digest.of(b"key")
SERVES = {"Entrypoint": ["/bin/serve"], "ExposedPorts": {"5001/tcp": {}}, "User": "1000"}


def example(**config: object) -> Image:
    return made_image(
        made_layer("base", "", b"b" * 2000),
        made_layer("dependencies", "numpy 2.4.6", b"d" * 1500, key=KEY, origin="known", why="same inputs"),
        made_layer("entry", "score.py", b"e" * 10, key=KEY, why="src/score.py changed"),
        config=config or SERVES,
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (55_240_000, "55.2 MB"),
        (999_940_000, "999.9 MB"),
        (1e9, "1.0 GB"),
        (2.5e12, "2.5 TB"),
        (1e16, "10000.0 TB"),
        (-1500, "-1.5 kB"),
    ],
)
def test_sizes_are_decimal(count: float, text: str) -> None:
    assert format_size(count) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("a", "1", ""), ("bcd", "22", "x")]
    assert format_table(rows) == "a    1\nbcd  22  x"
    assert format_table(rows, right=(1,)) == "a     1\nbcd  22  x"
    assert format_table([]) == ""


def test_a_layer_is_a_line_with_its_origin_and_on_request_the_reason() -> None:
    image = example()
    lines = layer_table(image).splitlines()
    assert [line.split()[0] for line in lines] == ["base", "dependencies", "entry"]
    assert [line.split()[-1] for line in lines] == ["base", "reused", "new"]
    assert str(image.layers[0].descriptor.digest)[:19] in lines[0], "a layer without a name is shown by its digest"
    assert layer_table(image, reasons=True).splitlines()[2].endswith("new     src/score.py changed")


def receipt(image: Image, *outputs: tuple[str, str], **numbers: int) -> str:
    delivered = tuple(Delivered(kind, target, image.digest, 10, **numbers) for kind, target in outputs)
    return receipt_text(Receipt("example", image, delivered, {"pack": 1.25, "deliver": 0.5}))


def test_a_receipt_sums_up_sizes_and_times() -> None:
    image = example()
    lines = receipt(image).splitlines()
    assert lines[3] == "3 layers, 3.5 kB (10 B new), 3.5 kB unpacked"
    assert lines[4] == f"image {image.digest}  in 1.8 s"


@pytest.mark.parametrize(
    ("kind", "target", "where", "command"),
    [
        ("store", "a:latest", "in the local store as a:latest", "modelcrate run -p 8080:5001 a"),
        ("store", "a:1", "in the local store as a:1", "modelcrate run -p 8080:5001 a:1"),
        ("registry", "r.example/a:1", "pushed to r.example/a:1", "docker run -p 8080:5001 r.example/a:1"),
        ("docker-archive", "a.tar:a:1", "written to a.tar:a:1", "docker load -i a.tar"),
        ("docker-archive", "-", "written to -", None),
        ("oci", "out:1", "oci out:1", None),
    ],
)
def test_a_receipt_says_where_the_image_is_and_how_to_run_it(
    kind: str, target: str, where: str, command: str | None
) -> None:
    *_, place, last = receipt(example(), (kind, target)).splitlines()
    if command is None:
        assert last == f"{where}: 10 B written"
    else:
        assert (place, last) == (f"{where}: 10 B written", f"  run it: {command}")


def test_a_receipt_names_what_was_there_and_the_requests() -> None:
    text = receipt(example(), ("registry", "r.example/a:1"), reused=2000, requests=7)
    assert "pushed to r.example/a:1: 10 B written, 2.0 kB already there, 7 requests" in text


def test_an_image_without_a_command_is_not_run() -> None:
    assert "run it" not in receipt(example(User="1000"), ("store", "a:1"))


def test_images_of_several_platforms_are_shown_one_after_the_other() -> None:
    arm = made_image(made_layer("entry", "score.py", b"e"), platform=Platform.parse("linux/arm64"))
    index = combine([example(), arm])
    text = receipt_text(Receipt("example", index))
    assert text.index("linux/amd64") < text.index("numpy") < text.index("linux/arm64")
    assert f"image {index.digest}" in text
    assert image_text("example", index).startswith(f"example  {index.digest}\n")


def test_an_image_shows_how_it_starts() -> None:
    facts = dict(line.split(maxsplit=1) for line in image_text("example", example()).splitlines()[1:7])
    assert facts["starts"] == "/bin/serve"
    assert facts["user"] == "1000"
    assert facts["ports"] == "5001/tcp"
    bare = image_text("example", made_image())
    assert "ports     none" in bare
    assert "user      root" in bare
