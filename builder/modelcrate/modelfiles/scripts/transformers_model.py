"""Scores a Transformers model that has no entry script of its own: {"inputs": ["a text", ...], "parameters": {...}}.

Texts go through the pipeline of the model's architecture. Tensors by their names, {"inputs": {"input_ids": [[...]]}}, go into the model
itself, and the answer has every tensor that it gives. Nothing is fetched, and no code out of the model's folder is run.
"""

import json
import os

TASKS = {
    "SequenceClassification": "text-classification",
    "TokenClassification": "token-classification",
    "QuestionAnswering": "question-answering",
    "CausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "MaskedLM": "fill-mask",
}
"""The pipeline for the last part of an architecture's name."""

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")

model = None
pipe = None


def init():
    """Loads the model once, before the first request."""
    global model, pipe
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers

    folder = os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"])
    architecture = transformers.AutoConfig.from_pretrained(folder).architectures[0]
    model = getattr(transformers, architecture).from_pretrained(folder, use_safetensors=True).eval()
    task = next((task for ending, task in TASKS.items() if architecture.endswith(ending)), "feature-extraction")
    if any(os.path.exists(os.path.join(folder, name)) for name in TOKENIZERS):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        pipe = transformers.pipeline(task, model=model, tokenizer=tokenizer)


def run(raw_data):
    """Returns what the pipeline or the model gives, as JSON has it."""
    request = members(raw_data, "inputs", "data", "parameters")
    parameters = request.pop("parameters", {})
    if len(request) != 1 or not isinstance(parameters, dict):
        raise InputError("the body should have the member 'inputs', and may have an object 'parameters'")
    (inputs,) = request.values()  # 'data' is what Azure's clients call them
    if not isinstance(inputs, (str, list, dict)) or not inputs:
        raise InputError("'inputs' should be a text, a list of texts, or tensors by their names, and not be empty")
    try:
        if isinstance(inputs, dict) and not (pipe is not None and "question" in inputs):
            return {"outputs": forward(inputs)}
        if pipe is None:
            raise InputError("the model has no tokenizer; it takes tensors by their names, such as input_ids")
        return {"outputs": plain(pipe(inputs, **parameters))}
    except (ValueError, TypeError, IndexError) as fault:  # how pipelines and models refuse inputs and parameters
        raise InputError("the model does not take these inputs: " + str(fault)) from None


class InputError(ValueError):
    """A request that can't be scored as it is. The text is for the client."""

    client_error = (
        True  # modelcrate's server answers 400 with the text; another server answers 500, as for any exception
    )


def members(raw_data, *known):
    """Returns the request's members, which are an object with some of these names."""
    try:
        request = json.loads(raw_data)
    except (ValueError, RecursionError) as fault:
        raise InputError(
            "the body is empty, or was sent as a form: its type has to be application/json"
            if not raw_data.strip()
            else "the body is not JSON: " + str(fault)
        ) from None
    if not isinstance(request, dict):
        raise InputError("the body should be a JSON object with the member " + repr(known[0]))
    unknown = [name for name in request if name not in known]
    if unknown:
        raise InputError("the body has unknown members: " + ", ".join(unknown) + "; known are: " + ", ".join(known))
    return request


def forward(inputs):
    """Runs the model over tensors: whole numbers stay whole, as token ids have to be."""
    import torch

    tensors = {name: torch.tensor(value) for name, value in inputs.items()}
    try:
        with torch.inference_mode():
            found = model(**tensors)
    except RuntimeError as fault:  # how torch refuses sizes and types; it also says so when the memory is full
        if "memory" in str(fault):
            raise
        raise InputError("the model does not take these tensors: " + str(fault)) from None
    return {name: plain(value) for name, value in found.items() if hasattr(value, "tolist")}


def plain(value):
    """Returns tensors and numpy's numbers as lists and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value
