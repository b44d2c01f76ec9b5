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
"""What the last part of an architecture's name means for a pipeline."""

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")

model = None
pipe = None


def init():
    """Load the model once, before the first request."""
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
    """What the pipeline or the model gives, as JSON has it."""
    request = json.loads(raw_data)
    inputs = request["inputs"] if "inputs" in request else request["data"]  # as Azure's clients call it
    parameters = request.get("parameters", {})
    if isinstance(inputs, dict) and not (pipe is not None and "question" in inputs):
        return {"outputs": forward(inputs)}
    if pipe is None:
        raise ValueError("the model has no tokenizer; it takes tensors by their names, such as input_ids")
    return {"outputs": plain(pipe(inputs, **parameters))}


def forward(inputs):
    """The model over tensors: whole numbers stay whole, as token ids have to be."""
    import torch

    with torch.inference_mode():
        found = model(**{name: torch.tensor(value) for name, value in inputs.items()})
    return {name: plain(value) for name, value in found.items() if hasattr(value, "tolist")}


def plain(value):
    """Tensors and numpy's numbers as lists and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value
