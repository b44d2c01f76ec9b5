"""Asks a server with other people's clients of the Open Inference Protocol, and prints what they got: FILE CLIENT [PORT-OF-GRPC PORT-OF-HTTP]...

Run by an environment that has kserve and mlserver, of which a process can import one: their messages have the same names; the model is called `rows`, and gives the sums of rows.
"""

import asyncio
import json
import sys

import numpy

CLIENT, *PORTS = sys.argv[1:]
ROWS = numpy.array([[1, 2], [3, 4.5]])


async def kserve(grpc_port, http_port):
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

    found = {}
    client = InferenceGRPCClient(url=f"127.0.0.1:{grpc_port}")
    found["ready"] = [
        await client.is_server_ready(),
        await client.is_server_live(),
        await client.is_model_ready("rows"),
    ]
    rest = InferenceRESTClient(RESTConfig(protocol="v2"))
    for binary in (False, True):
        given = InferInput(name="x", shape=[2, 2], datatype="FP64")
        given.set_data_from_numpy(ROWS, binary_data=binary)
        request = InferRequest(model_name="rows", infer_inputs=[given], parameters={"binary_data_output": binary})
        answer = await client.infer(request)
        found[f"kserve grpc {binary}"] = answer.outputs[0].as_numpy().tolist()
        answer = await rest.infer(f"http://127.0.0.1:{http_port}", request, model_name="rows")
        found[f"kserve rest {binary}"] = answer.outputs[0].as_numpy().tolist()
    return found


def mlserver(grpc_port):
    import grpc
    from mlserver.codecs import NumpyCodec, NumpyRequestCodec
    from mlserver.grpc import dataplane_pb2, dataplane_pb2_grpc
    from mlserver.grpc.converters import ModelInferRequestConverter, ModelInferResponseConverter
    from mlserver.types import InferenceRequest

    found = {}
    stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{grpc_port}"))
    request = InferenceRequest(inputs=[NumpyCodec.encode_input("x", ROWS)], id="one")
    for raw in (False, True):
        message = ModelInferRequestConverter.from_types(request, "rows", use_raw=raw)
        answer = ModelInferResponseConverter.to_types(stub.ModelInfer(message))
        found[f"mlserver {raw}"] = [answer.id, NumpyRequestCodec.decode_response(answer).tolist()]
    described = stub.ModelMetadata(dataplane_pb2.ModelMetadataRequest(name="rows"))
    found["metadata"] = [described.name, [each.name for each in described.inputs], list(described.inputs[0].shape)]
    found["server"] = stub.ServerMetadata(dataplane_pb2.ServerMetadataRequest()).name
    found["refused"] = []
    for message in (
        dataplane_pb2.ModelInferRequest(model_name="others"),
        dataplane_pb2.ModelInferRequest(model_name="rows"),
        ModelInferRequestConverter.from_types(
            InferenceRequest(inputs=[NumpyCodec.encode_input("x", numpy.array([["a"]]))]), "rows"
        ),
    ):
        try:
            stub.ModelInfer(message)
        except grpc.RpcError as fault:
            found["refused"].append([fault.code().name, fault.details()])
    return found


pairs = list(zip(PORTS[::2], PORTS[1::2], strict=True))
print(json.dumps([asyncio.run(kserve(*each)) if CLIENT == "kserve" else mlserver(each[0]) for each in pairs]))
