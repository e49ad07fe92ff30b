"""What somebody else may ask the embedded engine: one reading statement over our tables, nothing that reaches out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import msgspec

from qianshao.errors import QueryError

QUERY_LIMITS: Mapping[str, object] = {
    "max_execution_time": 10,
    "timeout_before_checking_execution_speed": 0,
    "max_memory_usage": 2_000_000_000,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 256_000_000,
    "result_overflow_mode": "throw",
    "max_ast_depth": 500,
    "max_ast_elements": 20_000,
}
"""Settings of the handle on which others' queries run; in read-only mode no query can change them."""

READONLY = 164
ACCESS_DENIED = 497

# Read-only mode of the engine refuses table functions that reach out and everything that writes to tables. Seen to pass
# it nevertheless: INTO OUTFILE, file() as a scalar function, DESCRIBE of file() and url(), KILL QUERY, and several
# statements in one text. So a query is taken apart first, and what is not known to be harmless is refused.

_SAFE_CATEGORIES = frozenset(
    {
        "Arithmetic",
        "Arrays",
        "Bit",
        "Bitmap",
        "Comparison",
        "Conditional",
        "Dates and Times",
        "Distance",
        "Encoding",
        "Geo",
        "Hash",
        "IP Address",
        "JSON",
        "Logical",
        "Map",
        "Mathematical",
        "Null",
        "Nullable",
        "Random Number",
        "Rounding",
        "String",
        "String Replacement",
        "String Search",
        "String Splitting",
        "Time Series",
        "Time Window",
        "Tuple",
        "Type Conversion",
        "URL",
        "UUID",
        "Window",
    }
)
"""Functions of these only compute. Not among them: AI, Dictionary, Introspection, Machine Learning, and whatever a
newer engine brings."""

_SAFE_OTHERS = frozenset(
    {
        "bar",
        "bytesize",
        "countdigits",
        "currentdatabase",
        "currentuser",
        "displayname",
        "formatreadabledecimalsize",
        "formatreadablequantity",
        "formatreadablesize",
        "formatreadabletimedelta",
        "getsizeofenumtype",
        "identity",
        "ignore",
        "isconstant",
        "isdecimaloverflow",
        "materialize",
        "neighbor",
        "normalizequery",
        "parsetimedelta",
        "queryid",
        "revision",
        "rownumberinallblocks",
        "rownumberinblock",
        "runningaccumulate",
        "runningdifference",
        "runningdifferencestartingwithfirstvalue",
        "timezone",
        "timezoneof",
        "tocolumntypename",
        "totypename",
        "transform",
        "uptime",
        "version",
        "visiblewidth",
        "_cast",
        "lambda",
        "exists",
        "grouping",
        "untuple",
        "interval",
        "if",
    }
)
"""Lower-case names of harmless functions that stand in no such category, or in none at all."""

_KNOWN_NODES = frozenset(
    {
        "ArrayJoin",
        "Asterisk",
        "ColumnsApplyTransformer",
        "ColumnsExceptTransformer",
        "ColumnsListMatcher",
        "ColumnsRegexpMatcher",
        "ColumnsReplaceTransformer",
        "ColumnsReplaceTransformerReplacement",
        "ColumnsTransformerList",
        "ExpressionList",
        "Function",
        "Identifier",
        "InterpolateElement",
        "Literal",
        "OrderByElement",
        "QualifiedAsterisk",
        "QualifiedColumnsListMatcher",
        "QualifiedColumnsRegexpMatcher",
        "QueryParameter",
        "SampleRatio",
        "SelectIntersectExceptQuery",
        "SelectQuery",
        "SelectWithUnionQuery",
        "ShowTablesQuery",
        "Subquery",
        "TableExpression",
        "TableIdentifier",
        "TableJoin",
        "TablesInSelectQuery",
        "TablesInSelectQueryElement",
        "WindowDefinition",
        "WindowListElement",
        "WithElement",
    }
)
"""Kinds of nodes whose every name of a function or table is looked at; of any other kind it is not known."""

_SAFE_TABLE_FUNCTIONS = frozenset({"numbers", "numbers_mt", "generateseries", "generate_series", "zeros", "values"})

_SYSTEM_TABLES = frozenset(
    {
        "columns",
        "data_type_families",
        "databases",
        "formats",
        "functions",
        "keywords",
        "numbers",
        "one",
        "settings",
        "tables",
        "time_zones",
    }
)

_OWN_DATABASES = frozenset({"", "default"})

_MEMBERSHIP = frozenset(
    {"in", "notin", "globalin", "globalnotin", "nullin", "notnullin", "globalnullin", "globalnotnullin"}
)

_NAME = r"(?:\w+|`\w+`)"
_DESCRIBE = re.compile(rf"DESCRIBE TABLE (?:({_NAME})\.)?({_NAME})(?:\s+FORMAT (\w+))?", re.ASCII)

Tree = dict[str, object]


class Statement(NamedTuple):
    """A statement that may run."""

    sql: str
    """As the engine writes it: without comments, and nothing behind it."""
    format: str | None
    """Of its own FORMAT clause."""
    parameters: frozenset[str]
    """Names of the `{name:Type}` in it."""


class Selects(Protocol):
    """What the rules ask of the engine."""

    def select(self, sql: str, parameters: Mapping[str, object] | None = None, /) -> Sequence[tuple[object, ...]]:
        """Read rows."""
        ...


class Rules:
    """Tells statements that only read our tables from all others, by the engine's own syntax tree.

    Parameters
    ----------
    engine
        Is asked once for its functions, and for the tree of every statement; parsing runs nothing.
    """

    def __init__(self, engine: Selects) -> None:
        self._engine = engine
        rows = cast(
            "Sequence[tuple[str, str, int, str]]",
            engine.select("SELECT name, categories, is_aggregate, alias_to FROM system.functions"),
        )
        functions = {name.lower() for name, categories, _, _ in rows if categories in _SAFE_CATEGORIES}
        functions |= _SAFE_OTHERS
        aggregates = {name.lower() for name, _, aggregate, _ in rows if aggregate}
        aliases = {name.lower() for name, _, _, alias in rows if alias and alias.lower() in functions | aggregates}
        self._functions = frozenset(functions | aggregates | aliases)
        combinators = engine.select("SELECT lower(name) FROM system.aggregate_function_combinators")
        self._combinators = tuple(str(row[0]) for row in combinators)
        self._aggregates = frozenset(aggregates)

    def check(self, sql: str) -> Statement:
        """Return the statement if it may run.

        Raises
        ------
        QueryError
            If it does anything but read our tables, or names a function that may do more than compute.
        StoreError
            If the engine cannot parse it, or there are several.
        """
        text = str(self._engine.select("SELECT formatQuery({sql:String})", {"sql": sql})[0][0])
        described = _DESCRIBE.fullmatch(text)
        if described is not None:
            self._check_table([part.strip("`") for part in described.group(1, 2) if part])
            return Statement(text, described[3], frozenset())
        if not text.startswith(("SELECT", "WITH", "(", "SHOW")):
            raise _refusal(READONLY, "only SELECT, SHOW TABLES, SHOW DATABASES and DESCRIBE are answered here")
        written = self._engine.select("SELECT parseQueryToJSON({sql:String})", {"sql": sql})[0][0]
        tree = cast("Tree", msgspec.json.decode(str(written)))
        if tree["type"] not in ("SelectWithUnionQuery", "ShowTablesQuery"):
            raise _refusal(READONLY, "only SELECT, SHOW TABLES, SHOW DATABASES and DESCRIBE are answered here")
        parameters = set()
        for node, role in _nodes(tree, ""):
            self._check_node(node, role)
            if node.get("type") == "QueryParameter":
                parameters.add(str(node["name"]))
        chosen = cast("Tree | None", tree.get("format_ast"))
        return Statement(text, None if chosen is None else str(chosen["name"]), frozenset(parameters))

    def _check_node(self, node: Tree, role: str) -> None:
        if "out_file" in node:
            raise _refusal(ACCESS_DENIED, "INTO OUTFILE would write a file on this machine")
        kind = node.get("type")
        if kind == "SetQuery":
            raise _refusal(READONLY, "SETTINGS cannot be changed here; leave the clause out")
        if kind is not None and kind not in _KNOWN_NODES:
            raise _refusal(ACCESS_DENIED, f"a {kind} is not known here")
        if kind == "TableIdentifier":
            self._check_table([str(part) for part in cast("list[object]", node.get("name_parts", [node["name"]]))])
        if kind == "QueryParameter" and node.get("param_type") == "Identifier":
            raise _refusal(ACCESS_DENIED, "a parameter cannot name a table or column here")
        if kind == "Function":
            self._check_function(node, role)
        if kind == "ColumnsApplyTransformer" and "func_name" in node:
            self._check_name(str(node["func_name"]))

    def _check_function(self, node: Tree, role: str) -> None:
        name = str(node["name"]).lower()
        allowed = name in _SAFE_TABLE_FUNCTIONS if role == "table_function" else self._computes(name)
        if not allowed:
            raise _refusal(
                ACCESS_DENIED, f"the function {node['name']} is not allowed here: it may do more than compute"
            )
        # The right side of IN may be the name of a table.
        if name in _MEMBERSHIP:
            arguments = cast("list[Tree]", cast("Tree", node["arguments"]).get("children", []))
            if len(arguments) == 2 and arguments[1].get("type") == "Identifier":
                self._check_table(str(arguments[1]["name"]).split("."))

    def _check_name(self, name: str, *, table: bool = False) -> None:
        name = name.lower()
        if not (name in _SAFE_TABLE_FUNCTIONS if table else self._computes(name)):
            raise _refusal(ACCESS_DENIED, f"the function {name} is not allowed here: it may do more than compute")

    def _computes(self, name: str) -> bool:
        """Whether this is a function that only computes; an aggregate may carry any combinators."""
        if name in self._functions:
            return True
        return any(
            name.endswith(suffix)
            and (name.removesuffix(suffix) in self._aggregates or self._aggregated(name.removesuffix(suffix)))
            for suffix in self._combinators
        )

    def _aggregated(self, name: str) -> bool:
        return name not in self._functions and self._computes(name)

    def _check_table(self, parts: Sequence[str]) -> None:
        database, table = (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])
        if database == "system" and table in _SYSTEM_TABLES:
            return
        # A path is a table to the embedded engine, so a name of ours has nothing but letters, digits and underscores.
        if database not in _OWN_DATABASES or not re.fullmatch(r"\w+", table):
            raise _refusal(ACCESS_DENIED, f"the table {'.'.join(parts)} is not readable here")


def _nodes(value: object, role: str) -> Iterator[tuple[Tree, str]]:
    """Walk a syntax tree; `role` is the key under which a node stands."""
    if isinstance(value, dict):
        yield value, role
        for key, below in value.items():
            yield from _nodes(below, key)
    elif isinstance(value, list):
        for below in value:
            yield from _nodes(below, role)


def _refusal(code: int, what: str) -> QueryError:
    name = {READONLY: "READONLY", ACCESS_DENIED: "ACCESS_DENIED"}[code]
    return QueryError(f"Code: {code}. DB::Exception: {what}. ({name})", code=code)
