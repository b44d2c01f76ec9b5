"""The names that honest pickles have, and how far each may be used. The list is data: `names.txt`, by tools/write_pickle_names.py."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from modelcrate.modelfiles.pickle.findings import FILE_WRAPPERS, JOBLIB, OLD_JOBLIB, Use

_CALLED: Mapping[str, str] = {
    "builtins": "object set frozenset bytearray bytes str int float bool complex list dict tuple slice range Ellipsis NotImplemented",
    "collections": "OrderedDict defaultdict deque Counter",
    "copyreg": "_reconstructor",
    "re": "_compile",
    "_codecs": "encode",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "pathlib._local": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "zoneinfo": "ZoneInfo._unpickle",
    "array": "array _array_reconstructor",
    "types": "SimpleNamespace",
    "pytz": "_UTC _p FixedOffset",
    "dateutil.tz.tz": "tzutc tzlocal",
    "lifelines.utils": "CensoringType",
    "stable_baselines3.common.type_aliases": "TrainFrequencyUnit",
    "cmdstanpy.cmdstan_args": "Method",
    "stanio.reshape": "VariableType",
    "pyarrow.lib": "py_buffer type_for_alias field schema list_ large_list struct map_ dictionary binary timestamp duration time32 time64 decimal128",
    "sklearn.utils.validation": "check_array",
    "numpy": "dtype ndarray",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
    "numpy.core._internal": "_reconstruct",
    "numpy.ma.core": "_mareconstruct",
    "numpy.ma": "_mareconstruct",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
    "numpy.random": "__RandomState_ctor",
    "numpy.random.mtrand": "_rand",
    **dict.fromkeys(JOBLIB, "NumpyArrayWrapper"),
    "torch": "Size device dtype float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool float half double int "
    "long short complex32 complex64 complex128 strided sparse_coo contiguous_format channels_last preserve_format per_tensor_affine "
    "per_channel_affine qint8 quint8 qint32 quint4x2 quint2x4 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu "
    "float4_e2m1fn_x2 bcomplex32 int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7",
    "torch._utils": "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state "
    "_rebuild_qtensor _rebuild_sparse_tensor _rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage _rebuild_nested_tensor",
    "torch._tensor": "_rebuild_from_type_v2 Tensor",
    "torch.nested._internal.nested_tensor": "_rebuild_njt",
    "torch.serialization": "_get_layout",
    "torch.nn.backends.thnn": "_get_thnn_function_backend",
    "numpy.core.records": "record",
    "transformers.trainer_utils": "IntervalStrategy EvaluationStrategy SaveStrategy HubStrategy SchedulerType FSDPOption",
    "transformers.training_args": "OptimizerNames ParallelMode",
    "accelerate.utils.dataclasses": "DistributedType SageMakerDistributedType PrecisionType DynamoBackend RNGType ComputeEnvironment "
    "FP8BackendType",
    "torch.jit._pickle": "build_intlist build_doublelist build_boollist build_tensorlist build_tensor_from_id restore_type_tag",
}
"""Plain values of Python, members of enumerations, and the functions by which arrays and tensors rebuild themselves. Each was read: it makes a value of its
arguments, or calls what is among them, which is then checked against the list itself."""

_MADE: Mapping[str, str] = {
    "torch": "Tensor FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage ByteStorage "
    "BoolStorage ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage QInt32Storage QUInt4x2Storage QUInt2x4Storage",
    "torch.storage": "UntypedStorage TypedStorage",
    "torch.nn.parameter": "Parameter Buffer",
    "torch.nested._internal.nested_tensor": "NestedTensor",
    "torch._dynamo.decorators": "_DimRange",
    "numpy.matrixlib.defmatrix": "matrix",
    "numpy.core.records": "recarray",
    "statsmodels.base.data": "ModelData PandasData",
    "statsmodels.tools.tools": "Bunch",
    "xgboost.callback": "EarlyStopping EvaluationMonitor LearningRateScheduler",
    "torch.utils.data.dataset": "Dataset TensorDataset ConcatDataset Subset",
    "_io": "BytesIO StringIO",
    **dict.fromkeys((*JOBLIB, OLD_JOBLIB), " ".join(FILE_WRAPPERS)),
    "transformers.training_args": "TrainingArguments",
    "transformers.training_args_seq2seq": "Seq2SeqTrainingArguments",
    "transformers.trainer_pt_utils": "AcceleratorConfig",
    "accelerate.state": "PartialState AcceleratorState",
}
"""Classes that are given their state as it is. The data of statsmodels' models calls what evaluates a formula, if its state says so: the
interpreter looks at the state, and counts such an object as called."""


_NAMED: Mapping[str, str] = {
    "numpy": "memmap",
    "zoneinfo": "ZoneInfo",
    "builtins": "abs hash len max min print round sorted sum str.casefold str.lower str.split str.strip str.upper",
    "re": "_compile().findall _compile().finditer _compile().fullmatch _compile().match _compile().search _compile().split _compile().sub",
    "statsmodels.tsa.exponential_smoothing.ets": "ETSModel().loglike",
    "stable_baselines3.common.policies": "BasePolicy._dummy_schedule",
    "torch.utils.data.dataloader": "DataLoader",
    "keras.src.models.sequential": "Sequential",
    "keras.src.models.functional": "Functional",
}
"""Classes that joblib only compares with: which class an array had that it has written. Functions of numbers and texts alone, which models keep to call them,
and methods. A class of PyTorch's that skorch's nets keep to make one when they are asked."""


def allowed(module: str, name: str) -> Use | None:
    """Returns the most that a pickle may do with a name; None for a name that is not on the list."""
    return _listed().get((module, name))


def is_standard_library(root: str) -> bool:
    """Returns whether a top-level module is in the standard library of any Python from 3.9 to 3.14."""
    return ("", root) in _listed()


@cache
def _listed() -> Mapping[tuple[str, str], Use]:
    """Returns the complete list. A module of the standard library is under an empty module name."""
    found: dict[tuple[str, str], Use] = {}
    section = ""
    for line in Path(__file__).with_name("names.txt").read_text("utf-8").splitlines():
        module, *names = line.split() or ("#",)
        if line.startswith("["):
            section = line
        elif section == "[stdlib]" and module != "#":
            found["", module] = Use.NAMED
        for name in names if section in _SECTIONS else ():
            found[module, name] = max(_SECTIONS[section], found.get((module, name), Use.NAMED))
    for by_hand, use in ((_NAMED, Use.NAMED), (_MADE, Use.MADE), (_CALLED, Use.CALLED)):
        for module, line in by_hand.items():
            found |= {(module, name): use for name in line.split()}
    return found


_SECTIONS = {"[made]": Use.MADE, "[called]": Use.CALLED}
