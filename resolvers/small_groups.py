"""Figures and lists of few people, which are kept back from viewers who see people without names."""

from domain.errors import Forbidden
from domain.permission import MIN_GROUP_SIZE


def is_small(people: int) -> bool:
    """Whether so few people could be told apart; nobody at all is no secret."""
    return 0 < people < MIN_GROUP_SIZE


def refuse_small(people: int, where: str) -> None:
    """Refuse a selection of too few people by the argument at `where`."""
    if is_small(people):
        raise Forbidden(f"{where}: needed a selection of at least {MIN_GROUP_SIZE} employees for an analyst")
