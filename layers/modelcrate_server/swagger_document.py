"""The two forms of the service's description: Swagger 2.0 and OpenAPI 3. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .settings import Service


_KEY = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "description": "The key of the service, as in: Bearer abc123",
}
_ERROR = {"type": "object", "properties": {"message": {"type": "string"}}}
_VERSIONS = [2, 3]
_ALIVE, _SCORED, _DESCRIBED, _FAILED = (
    "The service is up; the text is 'Healthy'",
    "What the model answered",
    "This document",
    "The service could not answer; the message says why",
)


def swagger_2(service: Service, given: Any, answered: Any) -> dict[str, Any]:
    """Returns the Swagger 2.0 document of a service with these schemas."""
    prefix = _prefix(service)

    def answers(text: str, schema: Any, **more: Any) -> dict[str, Any]:
        failed = {"description": _FAILED, "schema": {"$ref": "#/definitions/ErrorResponse"}}
        return {"200": {"description": text, "schema": schema, **more}, "default": failed}

    health = _operation("ServiceHealthCheck", "Tells whether the service is up")
    health["responses"] = answers(_ALIVE, {"type": "string"}, examples={"application/json": "Healthy"})
    score = _operation("RunMLService", "Asks the model")
    score["security"] = [{"Bearer": []}]
    body = {"name": "serviceInputPayload", "in": "body", "description": "What the model is asked"}
    score["parameters"] = [{**body, "schema": {"$ref": "#/definitions/ServiceInput"}}]
    score["responses"] = answers(_SCORED, {"$ref": "#/definitions/ServiceOutput"})
    describe = _operation("GetSwaggerSpec", "Gives this document")
    version = {"name": "version", "in": "query", "required": False}
    describe["parameters"] = [{**version, "type": "integer", "enum": _VERSIONS}]
    describe["responses"] = answers(_DESCRIBED, {"type": "string"})
    return {
        "swagger": "2.0",
        "info": _info(service),
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": {"Bearer": _KEY},
        "paths": {
            f"{prefix}/": {"get": health},
            f"{prefix}/score": {"post": score},
            f"{prefix}/swagger.json": {"get": describe},
        },
        "definitions": {"ServiceInput": given, "ServiceOutput": answered, "ErrorResponse": _ERROR},
    }


def openapi_3(version: str, service: Service, given: Any, answered: Any) -> dict[str, Any]:
    """Returns the OpenAPI document, 3.0 or 3.1, of a service with these schemas."""
    prefix = _prefix(service)

    def content(kind: str, schema: Any) -> dict[str, Any]:
        return {"content": {kind: {"schema": schema}}}

    def answers(text: str, kind: str, schema: Any) -> dict[str, Any]:
        failed = {"description": _FAILED, **content("application/json", {"$ref": "#/components/schemas/ErrorResponse"})}
        return {"200": {"description": text, **content(kind, schema)}, "default": failed}

    health = _operation("ServiceHealthCheck", "Tells whether the service is up")
    health["responses"] = answers(_ALIVE, "text/plain", {"type": "string", "example": "Healthy"})
    score = _operation("RunMLService", "Asks the model")
    score["security"] = [{"Bearer": []}]
    asked = content("application/json", {"$ref": "#/components/schemas/ServiceInput"})
    score["requestBody"] = {"description": "What the model is asked", **asked}
    score["responses"] = answers(_SCORED, "application/json", {"$ref": "#/components/schemas/ServiceOutput"})
    describe = _operation("GetSwaggerSpec", "Gives this document")
    chosen = {"name": "version", "in": "query", "required": False}
    describe["parameters"] = [{**chosen, "schema": {"type": "integer", "enum": _VERSIONS}}]
    describe["responses"] = answers(_DESCRIBED, "text/plain", {"type": "string"})
    return {
        "openapi": version,
        "info": _info(service),
        "security": [{"Bearer": []}],
        "paths": {
            f"{prefix}/": {"get": health},
            f"{prefix}/score": {"post": score},
            f"{prefix}/swagger.json": {"get": describe},
        },
        "components": {
            "schemas": {"ServiceInput": given, "ServiceOutput": answered, "ErrorResponse": _ERROR},
            "securitySchemes": {"Bearer": _KEY},
        },
    }


def _operation(name: str, text: str) -> dict[str, Any]:
    return {"operationId": name, "description": text}


def _info(service: Service) -> dict[str, Any]:
    return {"title": service.name, "description": f"What {service.name} takes and gives", "version": service.version}


def _prefix(service: Service) -> str:
    return f"/{service.path_prefix.strip('/')}" if service.path_prefix else ""
