"""The abstract class of results of questions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self


class AbstractResult(ABC):
    """A result that consists of answers; frames and arrays of draws are not such results.

    A subclass provides
        map_answers: the same function applied to each of its answers;
        with_note: the result with a remark on how it was computed.
    """

    @abstractmethod
    def map_answers(self, function: Callable[..., Any], *others: Any) -> Self:
        """The result with `function(answer, *matching answers of the others)` for each answer."""

    @abstractmethod
    def with_note(self, note: str) -> Self:
        """The result with a remark at the end of its method, at most once."""


def map_values(
    function: Callable[..., Any], values: Mapping[Any, Any], *others: Mapping[Any, Any]
) -> Mapping[Any, Any]:
    """`function` applied to the values of each key; the first mapping as it is if keys differ.

    >>> map_values(max, {"a": 1, "b": 5}, {"a": 3, "b": 2})
    {'a': 3, 'b': 5}
    """
    if any(other.keys() != values.keys() for other in others):
        return values
    return {key: function(values[key], *(other[key] for other in others)) for key in values}
