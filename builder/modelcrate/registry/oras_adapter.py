"""oras-py's interface on top of RegistryClient, for code that works with `OrasClient`.

None of oras's own requests, retries, sessions or searches for credentials is used.
"""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import oras.auth
import oras.auth.base
import oras.container
import oras.oci
import oras.provider
import requests

from modelcrate.images.reference import HUB, Reference
from modelcrate.net.errors import PASSING, NotFound
from modelcrate.net.messages import Bytes
from modelcrate.net.resume import length
from modelcrate.net.urls import resolve
from modelcrate.registry import wire
from modelcrate.registry.files import FileBlob
from modelcrate.registry.login import login, logout
from modelcrate.registry.pulls import RemoteBlob
from modelcrate.registry.pushes import PushResult
from modelcrate.registry.transport import RegistryTransport
from modelcrate.registry.wire import Access, RegistryRequest
from modelcrate_layers.content import Blob, Descriptor, Digest, MediaType, canonical_json, parse_object
from modelcrate_layers.errors import RegistryError, UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.patterns import compile_later

BACKEND = "modelcrate"
_API = compile_later(r"/v2/(?P<name>.+)/(?:blobs|manifests|tags|referrers)/")


class _Backend(oras.auth.base.AuthBackend):  # type: ignore[misc]  # oras has no types
    """oras's part for logging in. It only passes on which file is to be read; RegistryTransport authorises."""

    use_file: Callable[[Path], None]

    def get_auth_header(self) -> dict[str, str]:
        return {}

    def load_configs(self, container: Any, configs: Any = None) -> None:
        """Makes the first of these files count before all others (`config_path` of oras's push and pull)."""
        for path in (configs or [])[:1]:
            self.use_file(Path(path))

    def authenticate_request(
        self, original: Any, headers: dict[str, str], refresh: bool = False
    ) -> tuple[dict[str, str], bool]:
        return headers, False


class OrasAdapter(oras.provider.Registry):  # type: ignore[misc]  # oras has no types
    """The methods of oras that use the network, built on methods of RegistryClient."""

    _transport: RegistryTransport

    def __init__(self, hostname: str | None = None) -> None:
        oras.auth.auth_backends.setdefault(BACKEND, _Backend)
        super().__init__(hostname=hostname, auth_backend=BACKEND)
        self.auth.use_file = self._use_file
        self.session.trust_env = False

    @abstractmethod
    def manifest(self, ref: Reference) -> tuple[Descriptor, bytes]:
        """Returns the descriptor and the bytes of a manifest."""
        ...

    @abstractmethod
    def blob(self, ref: Reference, descriptor: Descriptor) -> RemoteBlob:
        """Returns a blob of the repository. No request is sent before it is read."""
        ...

    @abstractmethod
    def has(self, ref: Reference, descriptor: Descriptor) -> bool:
        """Returns whether the repository has this blob."""
        ...

    @abstractmethod
    def push_blob(self, ref: Reference, blob: Blob, mount_from: Any = ()) -> PushResult:
        """Brings a blob into the repository."""
        ...

    @abstractmethod
    def put_manifest(self, ref: Reference, data: bytes, media_type: str, tags: Any = ()) -> Descriptor:
        """Publishes a manifest, and returns its descriptor."""
        ...

    @abstractmethod
    def tags(self, ref: Reference) -> list[str]:
        """Returns all tags of the repository."""
        ...

    @abstractmethod
    def delete(self, ref: Reference) -> None:
        """Deletes the manifest that the reference names."""
        ...

    def _use_file(self, path: Path) -> None:
        self._transport.use(replace(self._transport.settings, auth_file=path))

    def login(
        self,
        username: str,
        password: str,
        password_stdin: bool = False,
        tls_verify: bool = True,
        hostname: str | None = None,
        config_path: str | None = None,
    ) -> dict[str, str]:
        """Tries the credentials at the registry and keeps them, in the file `config_path` if that is given.

        Raises:
            UserError: No user name or password is given, or `tls_verify` is off: registries.yaml has a key for that.
            RegistryError: The registry refuses them.
        """
        if not tls_verify:
            raise UserError(
                "tls_verify=False is not supported", hint="set `insecure` for the registry in registries.yaml"
            )
        if password_stdin:
            password = sys.stdin.readline().rstrip("\n")
        if config_path:
            self._use_file(Path(config_path))
        login(hostname or self.hostname or HUB, username, password, self._transport.settings, self._transport.emit)
        self._transport.use(self._transport.settings)
        return {"Status": "Login Succeeded"}

    def logout(self, hostname: str) -> None:
        """Removes the credentials for a registry."""
        logout(hostname, self._transport.settings)
        self._transport.use(self._transport.settings)

    def do_request(
        self,
        url: str,
        method: str = "GET",
        data: Any = None,
        headers: dict[str, str] | None = None,
        json: Any = None,
        stream: bool = False,
    ) -> requests.Response:
        """Sends any request to a registry. Returns the response whatever its status, after retries where those may help."""
        parts = urlsplit(url)
        remote = self._transport.remote(parts.netloc)
        if json is not None:
            data, headers = canonical_json(json), {"Content-Type": "application/json", **(headers or {})}
        body = Bytes(data) if isinstance(data, bytes) else None
        if data is not None and body is None:
            raise RegistryError(
                "only bytes are sent this way", where=f"{method} {parts.path}", hint="use push_blob for files"
            )
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        kept = {k: v for k, v in (headers or {}).items() if k.lower() not in ("authorization", "content-length")}
        request = RegistryRequest(
            method, remote.origin + path, kept, body, method in ("GET", "HEAD"), _access(parts.path, method)
        )
        reply = self._transport.open(request, remote, "request", frozenset(range(100, 600)) - PASSING)
        streamed = stream and method == "GET"
        answer, response = reply.answer if streamed else reply.read(), requests.Response()
        response.status_code, response.url = answer.status, answer.url
        response.headers.update(dict(answer.headers.fields))
        response.raw = reply.raw if streamed else BytesIO(answer.body)
        if not streamed:
            response._content = answer.body
        return response

    def blob_exists(self, layer: dict[str, Any], container: Any) -> bool:
        """Returns whether the registry has a layer."""
        return self.has(self._reference(container), _layer(layer))

    def upload_blob(
        self, blob: str, container: Any, layer: dict[str, Any], do_chunked: bool = False, chunk_size: int = 0
    ) -> requests.Response:
        """Sends a file. How it is sent follows from the registry's profile, not from `do_chunked`."""
        self.push_blob(self._reference(container), FileBlob(Path(blob), _layer(layer)))
        return _wait_all(201)

    def put_upload(self, blob: str, container: Any, layer: dict[str, Any]) -> requests.Response:
        """Does the same as upload_blob."""
        return self.upload_blob(blob, container, layer)

    def chunked_upload(
        self, blob: str, container: Any, layer: dict[str, Any], chunk_size: int = 0
    ) -> requests.Response:
        """Does the same as upload_blob."""
        return self.upload_blob(blob, container, layer)

    def upload_manifest(self, manifest: dict[str, Any] | bytes, container: Any) -> requests.Response:
        """Publishes a manifest, which is serialised once."""
        data = manifest if isinstance(manifest, bytes) else canonical_json(manifest)
        media_type = str(parse_object(data).get("mediaType") or MediaType.MANIFEST)
        descriptor = self.put_manifest(self._reference(container), data, media_type)
        response = _wait_all(201)
        response.headers["Docker-Content-Digest"] = str(descriptor.digest)
        return response

    def get_manifest(
        self, container: Any, allowed_media_type: Any = None, validation_schema: Any = None
    ) -> dict[str, Any]:
        """Returns a manifest, verified, as an object."""
        return parse_object(self.manifest(self._reference(container))[1])

    def get_blob(self, container: Any, digest: str, stream: bool = False, head: bool = False) -> requests.Response:
        """Returns a blob's response without verifying it; `download_blob` and `blob` verify."""
        address = self._transport.remote(self._reference(container).api_host).repository(
            self._reference(container).repository
        )
        return self.do_request(address.url(f"blobs/{Digest.parse(digest)}"), "HEAD" if head else "GET", stream=stream)

    def download_blob(self, container: Any, digest: str, outfile: str) -> str:
        """Downloads a blob into a file, which appears only when it is complete and verified."""
        ref, name = self._reference(container), Digest.parse(digest)
        remote = self._transport.remote(ref.registry)
        request = wire.head_blob(remote.repository(ref.repository), name, [wire.pull_access(ref.repository)])
        size = length(self._transport.send(request, remote, f"blob {name}"))
        if size is None:
            raise RegistryError("the registry does not say how large a blob is", where=request.where())
        beside = Path(f"{outfile}.part")
        beside.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                for chunk in self.blob(ref, Descriptor(wire.OCTETS, name, size)).chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(outfile)
        finally:
            beside.unlink(missing_ok=True)
        return outfile

    def get_tags(self, container: Any, N: int | None = None) -> list[str]:  # noqa: N803  (oras's name)
        """Returns the tags, at most N."""
        return self.tags(self._reference(container))[:N]

    def delete_tag(self, container: Any, tag: str) -> bool:
        """Deletes what a tag names. Returns False where there is no such tag."""
        ref = self._reference(container).tagged(tag)
        try:
            self.delete(ref)
        except NotFound:
            return False
        return True

    def _get_location(self, r: requests.Response, container: Any) -> str:
        return resolve(str(r.url), r.headers.get("Location", ""), "an upload")

    def _reference(self, container: Any) -> Reference:
        if isinstance(container, Reference):
            return container
        if isinstance(container, str):
            container = oras.container.Container(container, registry=self.hostname)
        return Reference.parse(str(container.uri))


def _layer(layer: dict[str, Any]) -> Descriptor:
    return Descriptor.parse(layer)


def _wait_all(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


def _access(path: str, method: str) -> tuple[Access, ...]:
    found = _API.match(path)
    if not found:
        return ()
    kinds: dict[str, Callable[[str], Access]] = {
        "GET": wire.pull_access,
        "HEAD": wire.pull_access,
        "DELETE": wire.delete_access,
    }
    return (kinds.get(method, wire.push_access)(found["name"]),)
