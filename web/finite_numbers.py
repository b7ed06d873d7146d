"""A validation rule: no number of a document is beyond what a Float can hold.

graphql-core checks this of variables but reads the literal 1e999 as infinity, which resolvers would then be handed.
"""

from math import isinf
from typing import Any

from graphql import FloatValueNode, GraphQLError, IntValueNode
from graphql.validation import ASTValidationRule


class FiniteNumbersRule(ASTValidationRule):
    """Refuses number literals that overflow a double."""

    def enter_float_value(self, node: FloatValueNode, *_: Any) -> None:
        """Check a literal with a point or an exponent."""
        self._check(node)

    def enter_int_value(self, node: IntValueNode, *_: Any) -> None:
        """Check a literal without: it may stand where a Float is asked for."""
        self._check(node)

    def _check(self, node: FloatValueNode | IntValueNode) -> None:
        if isinf(float(node.value)):
            shown = node.value if len(node.value) <= 20 else node.value[:17] + "..."
            self.report_error(GraphQLError(f"needed a number within 1.8e308, got {shown}", node))
