"""The kinds of a part that are known: what a part has to answer before it is, and where a config looks its kind up."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, Union, get_args, get_origin

from pydantic import Field, TypeAdapter

from acanet.config.strict import Strict
from acanet.errors import BadRegistration
from acanet.models.installed import import_installed, table


class Part(Strict, ABC):
    """The config of a part: its sizes, and its answers to what the rest of a model asks of it.

    `ANSWERS` names what every part of a role has to answer, and says what is asked. None of them has a default: a part
    that leaves one out is not registered.
    """

    ANSWERS: ClassVar[Mapping[str, str]]

    kind: str


P = TypeVar("P", bound=Part)
C = TypeVar("C", bound=Part)


class Kinds(Generic[P]):
    """The parts of one role by their kind, open to anybody's."""

    def __init__(self, role: str, base: type[P], *, default: str | None = None) -> None:
        """No part is known yet.

        Args:
            role: what errors call it.
            base: the class that configs of such parts derive from.
            default: the kind of a config that names none; None: every config has to.
        """
        self.role, self._base, self._default = role, base, default
        self._known: dict[str, Any] = table()

    def register(self, part: type[C]) -> type[C]:
        """Make a part known by its kind; a decorator of its config class.

        Raises:
            BadRegistration: when the kind is taken, or the part leaves a question of safety open; it names which.
        """
        where = f"{part.__module__}.{part.__qualname__}"
        if self._base not in part.__mro__:
            raise BadRegistration(f"{where} cannot be registered as {self.role}: derive it from {self._base.__name__}")
        kind = _kind_of(part)
        if kind is None:
            raise BadRegistration(f'{where} needs a kind, as in `kind: Literal["mine"] = "mine"`')
        if kind in self._known:
            raise BadRegistration(f"{self.role} of kind {kind!r} are registered already; {where} needs another name")
        missing = [f"{name} ({asked})" for name, asked in part.ANSWERS.items() if not _answers(part, name)]
        if missing:
            raise BadRegistration(f"{self.role} {kind!r}: {where} does not answer {'; '.join(missing)}")
        self._known[kind] = part
        return part

    def validated(self, value: Any) -> P:
        """The config that a mapping, or a config of a registered part, is; pydantic calls this as a validator.

        Raises:
            ValidationError: for another kind, and what that kind's config raises.
            AcanetError: when the kind is not known and a package's parts cannot be imported.
        """
        kind = value.get("kind", self._default) if isinstance(value, Mapping) else getattr(value, "kind", None)
        if isinstance(kind, str) and kind not in self._known:
            import_installed("parts")
        if self._default is not None and kind in self._known:
            return self._known[kind].model_validate(value)  # no tag in the place of a problem: the key may be left out
        return _one_of(tuple(self._known.values())).validate_python(value)

    def that(self, told: Callable[[type[P]], str | None]) -> str:
        """Kinds of which something is told, for an error: each with what is, such as `'linear' with norm 'none'`."""
        found = {kind: told(part) for kind, part in self._known.items()}
        return ", or ".join(f"{kind!r} {text}".rstrip() for kind, text in found.items() if text is not None)

    def __iter__(self) -> Any:
        return iter(self._known)


def _kind_of(part: type[Part]) -> str | None:
    field = part.model_fields["kind"]
    named = get_origin(field.annotation) is Literal and get_args(field.annotation) == (field.default,)
    return str(field.default) if named else None


def _answers(part: type[Part], name: str) -> bool:
    return hasattr(part, name) and name not in part.__abstractmethods__


@cache
def _one_of(parts: tuple[type[Part], ...]) -> TypeAdapter[Any]:
    union: Any = Annotated[Union[parts], Field(discriminator="kind")]  # noqa: UP007
    return TypeAdapter(union)
