"""A request: the WSGI environment, with the names that entry scripts use."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote

from .form import FormError, content_type_of, parse_multipart
from .headers import MultiDict, RequestHeaders

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class HttpError(Exception):
    """The request is refused with this status and message; `fields` are header fields of the answer."""

    def __init__(self, status: int, message: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.fields = status, message, fields


class AMLRequest:
    """One request. Its body is read when it is first needed, once, and kept.

    Args:
        environ: The WSGI environment.
        max_body_bytes: A larger body is refused with 413; None for no limit.
        unpacks: The body is unpacked as its Content-Encoding says. A script that gets the request itself gets it as it came.
    """

    def __init__(self, environ: Mapping[str, Any], max_body_bytes: int | None = None, unpacks: bool = False) -> None:
        self.environ = environ
        self.headers = RequestHeaders(environ)
        self._max_body_bytes, self._unpacks = max_body_bytes, unpacks
        self._kept = False  # whether the script has read the body, and it was to be kept
        self.method = str(environ.get("REQUEST_METHOD", "GET")).upper()
        """The HTTP method, in capital letters."""
        path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
        self.path = "/" + path.lstrip("/")
        """The path, decoded."""

    @property
    def query_string(self) -> bytes:
        """The query as it came."""
        return str(self.environ.get("QUERY_STRING", "")).encode("latin-1")

    @cached_property
    def args(self) -> MultiDict:
        """The values of the query."""
        return MultiDict(
            parse_qsl(self.query_string.decode(), keep_blank_values=True, errors="modelcrate_server.percent")
        )

    @property
    def content_type(self) -> str | None:
        """The content-type field."""
        return self.environ.get("CONTENT_TYPE")

    @property
    def content_length(self) -> int | None:
        """The content-length field, or None."""
        text = str(self.environ.get("CONTENT_LENGTH") or "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def mimetype(self) -> str:
        """The type of the body, without parameters."""
        return content_type_of(self.content_type)[0]

    @property
    def mimetype_params(self) -> dict[str, str]:
        """The parameters of the type of the body."""
        return content_type_of(self.content_type)[1]

    @property
    def is_json(self) -> bool:
        """Whether the type of the body is JSON."""
        kind = self.mimetype
        return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))

    @cached_property
    def _body(self) -> bytes:
        body = _read(self.environ, self.content_length, self._max_body_bytes)
        field = self.environ.get("HTTP_CONTENT_ENCODING", "")
        return _unpacked(body, field, self._max_body_bytes) if field and body and self._unpacks else body

    @cached_property
    def _form(self) -> tuple[MultiDict, MultiDict] | None:
        kind, options = content_type_of(self.content_type)
        if kind == URLENCODED:
            return MultiDict(_pairs(self._body)), MultiDict()
        if kind == MULTIPART:
            try:
                return parse_multipart(self._body, options.get("boundary", ""))
            except FormError:
                return None
        return None

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> Any:
        """Returns the body. That of a form is empty with `parse_form_data`, and once the form was read, as in the original."""
        read = parse_form_data or ("_form" in vars(self) and not self._kept)
        body = b"" if read and self._form is not None else self._body
        self._kept = self._kept or (cache and not read)
        return body.decode("utf-8", "replace") if as_text else body

    @property
    def data(self) -> bytes:
        """The body; empty for a form, as in the original."""
        return bytes(self.get_data(parse_form_data=True))

    @cached_property
    def stream(self) -> io.BytesIO:
        """The body as a file."""
        return io.BytesIO(self._body)

    @property
    def form(self) -> MultiDict:
        """The fields of a form."""
        return self._form[0] if self._form else MultiDict()

    @property
    def files(self) -> MultiDict:
        """The files of a form."""
        return self._form[1] if self._form else MultiDict()

    @property
    def values(self) -> MultiDict:
        """The values of the query and of a form; as in the original, of a form only for methods with a body."""
        form = self.form if self.method in ("POST", "PUT", "PATCH") else MultiDict()
        both = [*self.args.to_dict(flat=False).items(), *form.to_dict(flat=False).items()]
        return MultiDict((name, value) for name, values in both for value in values)

    @property
    def json(self) -> Any:
        """The body as JSON (see `get_json`)."""
        return self.get_json()

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Returns the body as JSON.

        Args:
            force: Ignores the content type.
            silent: Returns None where the body is not JSON.
            cache: Has no effect; it is in the original's signature.

        Raises:
            HttpError: The body is not JSON.
        """
        if not (force or self.is_json):
            if silent:
                return None
            raise HttpError(415, "the content type is not JSON")
        try:
            return json.loads(self._body)
        except ValueError as error:
            if silent:
                return None
            raise HttpError(400, f"the body is not JSON: {error}") from error

    @property
    def scheme(self) -> str:
        """The scheme of the URL: http or https."""
        return str(self.environ.get("wsgi.url_scheme", "http"))

    @property
    def host(self) -> str:
        """The host that the client named."""
        named = self.environ.get("HTTP_HOST")
        return str(named or f"{self.environ.get('SERVER_NAME', '')}:{self.environ.get('SERVER_PORT', '')}")

    @property
    def full_path(self) -> str:
        """The path and the query."""
        return f"{self.path}?{self.query_string.decode('utf-8', 'replace')}"

    @property
    def base_url(self) -> str:
        """The URL without the query."""
        return f"{self.scheme}://{self.host}{quote(self.path, safe='/%:@!$&+,;=~()*')}"

    @property
    def url(self) -> str:
        """The URL."""
        query = self.query_string.decode("utf-8", "replace")
        return f"{self.base_url}?{query}" if query else self.base_url

    @property
    def host_url(self) -> str:
        """The URL of the host, with a slash at its end."""
        return f"{self.scheme}://{self.host}/"

    url_root = root_url = host_url

    @property
    def is_secure(self) -> bool:
        """Whether the client came by https."""
        return self.scheme == "https"

    @property
    def referrer(self) -> str | None:
        """The page that the client came from."""
        return self.environ.get("HTTP_REFERER")

    @property
    def remote_addr(self) -> str | None:
        """The address of the client."""
        return self.environ.get("REMOTE_ADDR")

    @cached_property
    def cookies(self) -> MultiDict:
        """The cookies."""
        pairs = (part.strip().partition("=") for part in str(self.environ.get("HTTP_COOKIE", "")).split(";"))
        return MultiDict((name, value.strip('"')) for name, _, value in pairs if name)


def _read(environ: Mapping[str, Any], length: int | None, limit: int | None) -> bytes:
    if length is not None and limit is not None and length > limit:
        raise HttpError(413, f"the body has {length} bytes; this server takes at most {limit}")
    terminated = bool(environ.get("wsgi.input_terminated"))
    if length is None and not terminated:
        return b""
    wanted = -1 if terminated else int(length or 0)  # a server that marks the end itself may also have decoded chunks
    if limit is not None:
        wanted = limit + 1 if terminated else min(wanted, limit + 1)
    try:
        body = bytes(environ["wsgi.input"].read(wanted))
    except OSError as error:
        raise HttpError(408, "the client was silent for too long, or went away") from error
    if limit is not None and len(body) > limit:
        raise HttpError(413, f"the body is larger than {limit} bytes, the most this server takes")
    if not terminated and len(body) < wanted:
        raise HttpError(400, "the client went away before its request was complete")
    return body


def _unpacked(body: bytes, field: str, limit: int | None) -> bytes:
    from .encodings import EncodingError, supported, unpack  # late, as in `form`

    try:
        return unpack(body, field, limit)
    except EncodingError as fault:
        fields = [("Accept-Encoding", ", ".join(supported()))] if fault.status == 415 else []
        raise HttpError(fault.status, str(fault), fields) from None


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="modelcrate_server.percent")
    except ValueError:
        return []


def _keep_percent(error: UnicodeError) -> tuple[str, int]:
    """Leaves bytes that are not UTF-8 percent-encoded, as they were in the query."""
    assert isinstance(error, UnicodeDecodeError)
    return quote(error.object[error.start : error.end], safe=""), error.end


codecs.register_error("modelcrate_server.percent", _keep_percent)
