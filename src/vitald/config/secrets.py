"""Secrets: read once from where the file says, never shown again."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SecretStr, ValidationInfo
from pydantic_core import core_schema

from vitald.config.units import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.json_schema import JsonSchemaValue

MASK = "***"
_MAX_SECRET = 64 * 1024
_FORMS = "write {env: NAME}, {file: PATH} or the text itself"
_TELLING = re.compile(r"pass|pwd|secret|token|key|sign?(?:ature)?$|auth", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Secret(SecretStr):
    """A text that is used and never shown: a literal, `{env: NAME}` or `{file: PATH}`.

    `reference` says where it came from, None for a literal. A relative file is relative to the
    directory of the configuration. The line's end at the end of a file does not belong to the
    secret.
    """

    noun: ClassVar[str] = "secret"
    reference: Mapping[str, str] | None = None

    @property
    def is_literal(self) -> bool:
        """Say whether the secret itself stands in the file."""
        return self.reference is None

    def shown(self) -> object:
        """Return what `config show` prints in its place."""
        return MASK if self.reference is None else dict(self.reference)

    @classmethod
    def read(cls, value: object, directory: Path | None = None) -> Secret:
        """Read one value of the file; raises ValueError, never with the secret in it."""
        if isinstance(value, cls):
            return value
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, dict):
            reference, text = _follow(value, directory)
            cls._examine(text)
            secret = cls(text)
            secret.reference = reference
            return secret
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"is no secret: {_FORMS}")  # noqa: TRY004  pydantic takes ValueError
        text = str(value)
        cls._examine(text)
        return cls(text)

    @classmethod
    def _examine(cls, text: str) -> None:
        if not text:
            raise ValueError("the secret is empty")

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def validate(value: object, info: ValidationInfo) -> Secret:
            context = info.context if isinstance(info.context, dict) else {}
            return cls.read(value, context.get("directory"))

        return core_schema.with_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls.shown, when_used="json"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "x-type": cls.noun,
            "anyOf": [
                {"type": "string", "minLength": 1},
                *(
                    {
                        "type": "object",
                        "properties": {kind: {"type": "string", "minLength": 1}},
                        "required": [kind],
                        "additionalProperties": False,
                    }
                    for kind in ("env", "file")
                ),
            ],
        }


class SecretURL(Secret):
    """A URL that may carry a password."""

    noun: ClassVar[str] = "secret URL"

    @property
    def is_literal(self) -> bool:
        return super().is_literal and _has_password(self.get_secret_value())

    def shown(self) -> object:
        return self.masked() if self.reference is None else dict(self.reference)

    def masked(self) -> str:
        """Return the URL with the password, and every value of its query, masked."""
        return masked_url(self.get_secret_value())

    @classmethod
    def _examine(cls, text: str) -> None:
        super()._examine(text)
        if not _SCHEME.match(text):
            raise ValueError("is no URL: it must begin with a scheme, like postgresql://")
        try:
            urlsplit(text).port  # noqa: B018  the property reads and judges the port
        except ValueError as error:
            # The parser's own words would repeat a piece of the URL.
            raise ValueError(
                "is no URL: its host or port cannot be read; a / ? # or @ in a password is "
                "written %2F %3F %23 or %40"
            ) from error


def masked_url(url: str) -> str:
    """Return `url` without its password, its query's values and its fragment.

    A password with an unescaped / ? or # in it is masked, too: all up to the last @ is taken for
    one. That may mask a piece of a path, and never shows a piece of a password.
    """
    scheme, separator, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    place, mark, query = place.partition("#")[0].partition("?")
    masked = "&".join(map(_masked_pair, query.split("&")))
    return f"{scheme}{separator}{name}{colon}{MASK if colon else ''}{at}{place}{mark}{masked}"


def _masked_pair(pair: str) -> str:
    key, _, value = pair.partition("=")
    return f"{key}={MASK}" if value else pair


def _has_password(url: str) -> bool:
    user, at, _ = url.partition("://")[2].rpartition("@")
    keys = [pair.partition("=")[0] for pair in urlsplit(url).query.split("&")]
    return bool(at and ":" in user) or any(map(_TELLING.search, keys))


def _follow(value: dict[Any, Any], directory: Path | None) -> tuple[Mapping[str, str], str]:
    if len(value) != 1:
        raise ValueError(f"is no secret: {_FORMS}")
    kind, place = next(iter(value.items()))
    if kind not in {"env", "file"}:
        raise ValueError(f"cannot read a secret from {printable(str(kind)[:40])}: {_FORMS}")
    if not isinstance(place, str) or not place:
        raise ValueError(f"{kind} names nothing: {_FORMS}")
    text = _environment(place) if kind == "env" else _file(place, directory)
    return {kind: place}, text


def _environment(name: str) -> str:
    text = os.environ.get(name)
    if text is None:
        raise ValueError(f"the environment variable {printable(name[:80])} is not set")
    if not text:
        raise ValueError(f"the environment variable {printable(name[:80])} is empty")
    return text


def _file(name: str, directory: Path | None) -> str:
    path = (directory or Path()) / name
    shown = printable(str(path))
    try:
        data = _read(path)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise ValueError(f"cannot read the secret file {shown}: {cause}") from error
    if data is None:
        raise ValueError(f"cannot read the secret file {shown}: it is no regular file")
    if len(data) > _MAX_SECRET:
        raise ValueError(f"cannot read the secret file {shown}: it is larger than 64 KiB")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot read the secret file {shown}: it is not UTF-8") from error
    if not text:
        raise ValueError(f"the secret file {shown} is empty")
    return text


def _read(path: Path) -> bytes | None:
    """Return at most one byte more than a secret may have; None when it is no regular file."""
    # Opening must not wait for the other end of a FIFO.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, _MAX_SECRET + 1)
    finally:
        os.close(descriptor)
