"""Named parameters of statements, with the types that PostgreSQL needs to know."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, Integer, Text, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import BindParameter, CollectionAggregate, ColumnElement


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column = ANY(:name)`: the parameter is a list of whole numbers, however many."""
    values: CollectionAggregate[Any] = any_(bindparam(name, type_=ARRAY(BigInteger)))
    return column == values


def day(name: str) -> BindParameter[Any]:
    """A date."""
    return bindparam(name, type_=Date)


def number(name: str) -> BindParameter[Any]:
    """A whole number."""
    return bindparam(name, type_=Integer)


def key(name: str) -> BindParameter[Any]:
    """A primary key."""
    return bindparam(name, type_=BigInteger)


def word(name: str) -> BindParameter[Any]:
    """A text."""
    return bindparam(name, type_=Text)


def flag(name: str) -> BindParameter[Any]:
    """A boolean."""
    return bindparam(name, type_=Boolean)
