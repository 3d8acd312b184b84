"""What a named question is, and the expressions that many of them share.

Decides how a node's name, place and attributes are spelled in SQL. Refuses to know the questions.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pack:
    """One named question."""

    name: str
    asks: str
    """The question, in words."""
    sql: str


def attr(table: str, *names: str) -> str:
    parts = [f"json_extract({table}.attrs_json, '$.{name}')" for name in names]
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


NAME = "coalesce(json_extract({0}.attrs_json, '$.name'), {0}.label, {0}.id)"
LOCATION = "json_extract({0}.attrs_json, '$.\"ctx.location\"')"
