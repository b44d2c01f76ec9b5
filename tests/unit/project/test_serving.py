"""The mapping under `server`: what it means, how it is written, what is refused, and the variables that carry it."""

from __future__ import annotations

import pytest

from modelcrate.project.reading import parse_project
from modelcrate.project.remembered import decode, encode
from modelcrate.project.serving import Batch, Serving, serving_variables
from modelcrate.project.writing import project_text
from modelcrate_layers.errors import UserError
from modelcrate_server.settings import Batch as ServersBatch
from modelcrate_server.settings import read_settings

ALL = """
name: x
entry: score.py
server: {workers: 2, timeout: 10m, max-requests: 1000, preload: true, batch: {max: 32, wait: 7ms}, validate: true, metrics: true, log-format: json}
"""


def test_it_means_what_it_says_and_is_written_and_remembered() -> None:
    project = parse_project(ALL.encode())
    assert decode(encode(project)) == project
    assert project.serving == Serving(2, None, 600_000, 1000, True, Batch(32, 7), True, True, "json")
    assert parse_project(project_text(project).encode()) == project


def test_the_server_reads_the_variables_as_they_were_meant() -> None:
    variables = serving_variables(parse_project(ALL.encode()).serving)
    settings = read_settings(variables)
    process = settings.process
    assert (process.workers, process.threads, process.max_requests, process.preload) == (2, 1, 1000, True)
    assert (process.batch, process.metrics, settings.log_format) == (ServersBatch(32, 7), True, "json")
    assert (settings.scoring_timeout_ms, process.worker_timeout) == (600_000, 630)
    assert settings.departures.bad_input_is_400
    assert read_settings(serving_variables(Serving(threads=4))).process.threads == 4
    assert serving_variables(Serving()) == {}


def test_the_short_form_and_a_mapping_name_the_same_server() -> None:
    short = parse_project(b"name: x\nentry: score.py\nserver: azureml\n")
    assert short == parse_project(b"name: x\nentry: score.py\nserver: {from: azureml}\n")
    more = parse_project(b"name: x\nentry: score.py\nserver: {from: azureml, workers: 3, timeout: 5s}\n")
    assert (more.server, dict(serving_variables(more.serving))) == (
        "azureml",
        {"WORKER_COUNT": "3", "SCORING_TIMEOUT_MS": "5000"},
    )
    assert parse_project(project_text(more).encode()) == more


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {workers: 0}", "whole number from 1"),
        ("server: {timeout: 5}", "a time such as"),
        ("server: {batch: {wait: 5ms}}", "'max' is missing in the batch"),
        ("server: {batch: {max: 2}, threads: 2}", "a batch and threads at once"),
        ("server: {from: azureml, threads: 2}", "Microsoft's server has no 'threads'"),
        ("server: {log-format: xml}", "text or json"),
        ("server: {worker: 2}", "did you mean 'workers'"),
        ("workers: 2", "it stands under 'server'"),
        ("validate: true", "it stands under 'server'"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(text: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_project(f"name: x\nentry: score.py\n{text}\n".encode())
    assert said in f"{refused.value} {refused.value.hint}"


def test_settings_without_a_script_are_refused() -> None:
    with pytest.raises(UserError, match="no entry script"):
        parse_project(b"name: x\ncommand: [a]\nserver: {workers: 2}\n")
