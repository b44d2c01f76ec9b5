"""A Truss that is an engine of TensorRT-LLM, and has no model class: its checkpoint, served with Transformers."""

from __future__ import annotations

from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import hub_model
from modelcrate.project.values import AnyModel, Project
from modelcrate_layers.frozen import replace

_ENGINE = "it is about the engine, which Baseten alone builds"
_HUBS = ("", "hf")


def engine_project(keys: Keys, project: Project) -> Project:
    """Returns the project that serves the checkpoint; the same one where it is not on a hub, which is a fault.

    Args:
        keys: The keys of the configuration.
        project: What the other keys say.
    """
    engine = keys.mapping("trt_llm")
    build = engine.mapping("build") if engine is not None else None
    checkpoint = build.mapping("checkpoint_repository") if build is not None else None
    made: AnyModel | None = None
    if checkpoint is not None:
        source, repo, revision = checkpoint.text("source"), checkpoint.text("repo"), checkpoint.text("revision")
        if len(project.models) == 1:
            made = project.models[0]
            checkpoint.leave_all(dict.fromkeys(("source", "repo", "revision"), f"the other model is served: {made}"))
        elif source.lower() in _HUBS and repo:
            made = hub_model(checkpoint, repo, revision, others=project.models)
            checkpoint.take("source", "models: hf")
            checkpoint.take("repo", f"models: hf: {repo}")
            checkpoint.take("revision", "models: revision")
        for key in ("source", "repo", "revision"):
            checkpoint.leave(key, "nothing is downloaded from there")
        checkpoint.leave("runtime_secret_name", "the token of a hub is HF_TOKEN on this machine; no image has one")
    for each in (checkpoint, build, engine):
        if each is not None:
            each.leave_all(dict.fromkeys((key for key in each.data if not each.is_told(key)), _ENGINE))
    if made is None or len(project.models) > 1:
        keys.reading.fault(
            "has no model class, and TensorRT-LLM's engine is built by Baseten alone",
            "serve the model by a program: docker_server: {start_command: ...}, or write the class; a checkpoint on a hub is taken as it is",
        )
        return project
    keys.reading.notices += [
        "the checkpoint is served with Transformers, slower than by TensorRT-LLM; an image with a server of its own: base: IMAGE and command: [...]",
        "requests go to POST /score on port 5001, and not to /v1/models/model:predict or as OpenAI's API",
    ]
    return replace(project, models=(made,))
